"""Version a folder, use it in another run, and ask who used it.  Run it twice: the second time nothing new is stored."""

from pathlib import Path

import holdfast

Path("data").mkdir(exist_ok=True)
Path("data/squares.csv").write_text("".join(f"{n},{n * n}\n" for n in range(1000)))

with holdfast.init(project="quickstart", job_type="prepare") as run:
    dataset = run.log_artifact("data", name="squares", type="dataset", aliases=["clean"]).wait()
with holdfast.init(project="quickstart", job_type="train") as run:
    folder = run.use_artifact("squares:clean").download()
print(dataset.qualified_name, "is in", folder, "and was used by", [user.id for user in dataset.used_by()])
