"""Where W&B's scripts look for the types of objects: `from holdfast.data_types import Image`.  Each is loaded when it is asked for."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast._artifact_objects import StoredObject as WBValue
    from holdfast.media.audio import Audio
    from holdfast.media.bokeh import Bokeh
    from holdfast.media.bounding_boxes import BoundingBoxes2D
    from holdfast.media.classes import Classes
    from holdfast.media.html import Html
    from holdfast.media.image import Image
    from holdfast.media.image_mask import ImageMask
    from holdfast.media.joined_table import JoinedTable
    from holdfast.media.molecule import Molecule
    from holdfast.media.object3d import Object3D
    from holdfast.media.partitioned_table import PartitionedTable
    from holdfast.media.plotly import Plotly
    from holdfast.media.point_clouds import box3d
    from holdfast.media.table import Table
    from holdfast.media.video import Video

__all__ = [
    "Audio",
    "Bokeh",
    "BoundingBoxes2D",
    "Classes",
    "Html",
    "Image",
    "ImageMask",
    "JoinedTable",
    "Molecule",
    "Object3D",
    "PartitionedTable",
    "Plotly",
    "Table",
    "Video",
    "WBValue",
    "box3d",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "WBValue":
        from holdfast._artifact_objects import StoredObject

        return StoredObject
    import holdfast

    return getattr(holdfast, name)


def __dir__() -> list[str]:
    return sorted(__all__)
