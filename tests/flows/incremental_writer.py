"""A writer that lays its own entries over a collection's latest version, several times; run as a process of its own.

Arguments: name, writer's number, number of versions.
"""

import sys

import holdfast


def main(name: str, writer: str, versions: str) -> None:
    logged = []
    with holdfast.init(project="incremental", id=f"rank-{writer}") as run:
        for number in range(int(versions)):
            artifact = holdfast.Artifact(name, "dataset", incremental=True)
            with artifact.new_file(f"{writer}/{number}") as file:
                file.write(f"{writer} {number}")
            logged.append(run.log_artifact(artifact))
        for artifact in logged:
            artifact.wait()


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
