"""The `holdfast` command; the only part of the SDK that imports typer and rich at its top."""
