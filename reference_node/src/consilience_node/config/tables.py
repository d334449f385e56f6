"""What the tables of `node.toml` have in common: how strictly they are read, and what may stand in them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from consilience.nodes import DataClass


def located(path: Path, info: ValidationInfo) -> Path:
    """Makes a path absolute, from the folder of the file that names it."""
    folder: Path = (info.context or {}).get("folder", Path())
    return (folder / path.expanduser()).absolute()


def _named_or_located(source: str, info: ValidationInfo) -> str:
    """Leaves the name of something installed as it is, and makes a path absolute."""
    path = Path(source).expanduser()
    folder: Path = (info.context or {}).get("folder", Path())
    is_path = len(path.parts) != 1 or path.suffix != "" or (folder / path).exists()
    return str((folder / path).absolute()) if is_path else source


def _data_class(name: object) -> object:
    names = {value.name.lower(): value for value in DataClass if value > DataClass.UNSPECIFIED}
    if isinstance(name, str) and name in names:
        return names[name]
    raise ValueError(f"must be one of {', '.join(names)}")


def _address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and int(port) < 2**16):
        raise ValueError('must be "host:port", for instance "127.0.0.1:7341"; port 0 lets the system choose')
    return text


FilePath: TypeAlias = Annotated[Path, Field(strict=False), AfterValidator(located)]
NameOrPath: TypeAlias = Annotated[str, Field(min_length=1), AfterValidator(_named_or_located)]
Address: TypeAlias = Annotated[str, AfterValidator(_address)]
DataClassName: TypeAlias = Annotated[DataClass, BeforeValidator(_data_class)]
Tag: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Language: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*$")]
ModelId: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)]
Count: TypeAlias = Annotated[int, Field(ge=1)]
Bound: TypeAlias = Annotated[int, Field(ge=0)]
"""Zero: without bound."""

Seconds: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Table(BaseModel):
    """Is what all tables have in common: no unknown key, no guess at types, no change afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
