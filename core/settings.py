"""Settings: ``VIDEOPATH_*`` variables and ``videopath.toml`` in the home folder; the command line wins over both."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from platformdirs import user_data_path
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from videopath.core.choices import MAX_FRAMES, DtypeName, LogLevel, ReviewMode
from videopath.core.errors import InputError


def home_folder() -> Path:
    """``$VIDEOPATH_HOME``, else the platform's folder for user data. Nothing is created."""
    return Path(os.environ.get("VIDEOPATH_HOME") or user_data_path("videopath")).expanduser()


class Settings(BaseSettings):
    """What can be set once for all commands."""

    model_config = SettingsConfigDict(env_prefix="VIDEOPATH_", extra="ignore")

    home: Path = Field(default_factory=home_folder, description="case library, knowledge bases, cache")
    model: str = Field("nano", description="engine: nano, a checkpoint folder or a hub id")
    base: str | None = Field(
        None, description="base of that model, a folder or a hub id, where it is a LoRA or a projector"
    )
    knowledge: Path | None = Field(None, description="knowledge base folder; none: the bundled starter")
    frames: int | None = Field(
        None, ge=1, le=MAX_FRAMES, description="frames per clip; none: what the model was trained with"
    )
    review: ReviewMode = Field("never", description="when a person is asked")
    accept_uncalibrated: bool = Field(
        False,
        description="answers of a model whose confidence was never fitted are reported; else they wait for a person",
    )
    device: str | None = Field(
        None, description="cpu, cuda, cuda:1, mps; none: chosen, with the reason shown"
    )
    dtype: DtypeName | None = Field(None, description="none: chosen by device")
    embedder: Path | None = Field(
        None, description="folder of an embedder that knowledge bases built with it may load; none: no folder"
    )
    tracing: bool = Field(
        False,
        description="LangSmith may trace cases where LANGSMITH_TRACING is on; they then leave this machine",
    )
    folders: Annotated[tuple[Path, ...] | None, NoDecode] = Field(
        None,
        description="folders that visitors of `videopath app` and of LangGraph's server may name files in, "
        f"separated by {os.pathsep!r}; none: any path that the server can read",
    )
    log_level: LogLevel | None = Field(
        None, description="the command line shows its log from this level on: debug, info, warning or error"
    )
    accept_licence: bool = Field(
        False, description="the licence of downloaded weights (CC BY-NC) is accepted"
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("folders", mode="before")
    @classmethod
    def _some_whole_folders(cls, value: object) -> object:
        """A variable's text as its folders. None of them is a mistake: it would be taken for no confinement."""
        found = value.split(os.pathsep) if isinstance(value, str) else value
        if found is None or not isinstance(found, list | tuple):
            return found
        if not found or not all(str(name).strip() for name in found):
            raise ValueError("it names no folder")
        return tuple(Path(str(name)).expanduser().absolute() for name in found)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls, home_folder() / "videopath.toml")
        return init_settings, env_settings, toml


def load_settings() -> Settings:
    """Read the settings; a wrong value is named with its place in one sentence."""
    try:
        return Settings()  # type: ignore[call-arg]
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"The setting {name!r} is not usable: {first['msg']}. "
            f"Correct VIDEOPATH_{name.upper()} or {home_folder() / 'videopath.toml'}."
        ) from error
    except RecursionError as error:
        raise InputError(
            f"{home_folder() / 'videopath.toml'} is nested too deeply to be read. Correct or remove it."
        ) from error
    except OSError as error:
        raise InputError(
            f"{home_folder() / 'videopath.toml'} cannot be read: {error.strerror}. Correct or remove it."
        ) from error
    except ValueError as error:
        raise InputError(
            f"{home_folder() / 'videopath.toml'} is not valid TOML: {error}. Correct or remove it."
        ) from error
