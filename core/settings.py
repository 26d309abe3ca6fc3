"""Settings: ``VIDEOPATH_*`` variables and ``videopath.toml`` in the home folder; the command line wins over both."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from platformdirs import user_data_path
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from videopath.core.choices import MAX_FRAMES, DtypeName, LogLevel, ReviewMode, Scoring, Wording, WritingRule
from videopath.core.database_address import checked_address
from videopath.core.errors import InputError

_EngineName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


def home_folder() -> Path:
    """Return ``$VIDEOPATH_HOME``, or the platform's folder for user data. Nothing is created."""
    return Path(os.environ.get("VIDEOPATH_HOME") or user_data_path("videopath")).expanduser()


class EngineSettings(BaseModel):
    """A model behind a server: where it is, and how it is asked. ``engines`` in the settings gives each one a name.

    A key never stands here, only the name of the environment variable that holds it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    address: str = Field(
        description="base address of the server's OpenAI-compatible interface, such as http://127.0.0.1:8000/v1"
    )
    model: str | None = Field(
        None, min_length=1, description="the model's name at the server; default: the only one that it lists"
    )
    key_env: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="name of the environment variable that holds the server's key",
    )
    timeout: float = Field(
        120.0,
        gt=0,
        le=3600,
        description="seconds that the server may be silent; a whole answer may take ten times as long",
    )
    retries: int = Field(
        2, ge=0, le=10, description="further tries after an overload, a server's error or a lost connection"
    )
    max_requests: int = Field(4, ge=1, le=64, description="requests that run at a time")
    frames: int = Field(8, ge=1, le=MAX_FRAMES, description="frames per clip by default")
    max_image_side: int = Field(
        768, ge=32, le=4096, description="longest side of a frame that is sent, in pixels"
    )
    image_format: Literal["jpeg", "png"] = Field("jpeg", description="how frames are encoded")
    video: bool | Literal["auto"] = Field(
        False,
        description="send the frames as one video (vLLM's video_url) instead of pictures; auto: if the server takes it",
    )
    wording: Wording = Field(
        "plain", description="how the model is asked; videopath: for a served model of the VideoPath family"
    )
    scoring: Scoring | Literal["auto"] = Field(
        "auto", description="how candidates are scored; auto: the best way that the server offers"
    )
    orders: int = Field(2, ge=1, le=8, description="orders of the options in a lettered choice")
    card: Path | None = Field(
        None, description="folder with a videopath.json, whose calibration was fitted on this served model"
    )
    proxy: str | None = Field(
        None, description="address of a proxy for the requests; those of the environment are never used"
    )
    extra_body: dict[str, Any] = Field(
        default_factory=dict,
        description="further fields of each chat request, such as chat_template_kwargs or mm_processor_kwargs",
    )


class Settings(BaseSettings):
    """Settings that hold for all commands and servers."""

    model_config = SettingsConfigDict(env_prefix="VIDEOPATH_", extra="ignore", hide_input_in_errors=True)

    home: Path = Field(default_factory=home_folder, description="case library, knowledge bases, cache")
    database: SecretStr | None = Field(
        None,
        description="PostgreSQL database of the case library, postgresql://user:password@host:5432/name; default: SQLite "
        "files in the home folder",
    )
    model: str = Field(
        "nano",
        description="engine: nano, a checkpoint folder, a hub id, openai:ADDRESS#MODEL, or a name in engines",
    )
    base: str | None = Field(
        None, description="base of that model, a folder or a hub id, if it is a LoRA or a projector"
    )
    second_opinion: str | None = Field(
        None, description="another model that diagnoses each case blind, beside the first one; default: none"
    )
    knowledge: Path | None = Field(None, description="knowledge base folder; default: the bundled starter")
    frames: int | None = Field(
        None, ge=1, le=MAX_FRAMES, description="frames per clip; default: the number in the model's card"
    )
    review: ReviewMode = Field("never", description="when a person is asked")
    accept_uncalibrated: bool = Field(
        False,
        description="report answers of a model without a fitted confidence; otherwise they wait for a person",
    )
    writing: WritingRule = Field(
        "mask-all",
        description="which burned-in writing is filled before anything sees the frames: mask-all; mask-personal: only what "
        "may name a person, and codes; keep: none",
    )
    device: str | None = Field(None, description="cpu, cuda, cuda:1 or mps; default: the fastest one")
    dtype: DtypeName | None = Field(
        None, description="number format of the weights; default: depends on the device"
    )
    embedder: Path | None = Field(
        None, description="folder of an embedder; only knowledge bases that were built with it load it"
    )
    tracing: bool = Field(
        False,
        description="LangSmith may trace cases if LANGSMITH_TRACING is on; the cases then leave this machine",
    )
    folders: Annotated[tuple[Path, ...] | None, NoDecode] = Field(
        None,
        description="folders that visitors of `videopath app`, `videopath mcp` and LangGraph's server may name files in, "
        f"separated by {os.pathsep!r}; default: any path that the server can read",
    )
    worker: bool = Field(
        True,
        description="whether `videopath app` works on its cases itself; false: it leaves them to `videopath worker`",
    )
    log_level: LogLevel | None = Field(
        None, description="the command line shows its log from this level on: debug, info, warning or error"
    )
    log_json: bool = Field(
        False,
        description="the log is one JSON object a line, and is shown from info on unless log_level names another level",
    )
    accept_licence: bool = Field(False, description="accept the licence of downloaded weights (CC BY-NC)")
    prompts: Path | None = Field(
        None, description="folder with prompts of your own, WORDING/NAME.jinja; they replace the project's"
    )
    engines: dict[_EngineName, EngineSettings] = Field(
        default_factory=dict, description="served models by name, which `--model NAME` then takes"
    )

    @field_validator("database", mode="before")
    @classmethod
    def _usable_address(cls, value: object) -> object:
        """Check the address; an empty text is the default. The message holds no part of it."""
        if not isinstance(value, str):
            return value
        return checked_address(value) if value.strip() else None

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _json_is_shown(self) -> Self:
        if self.log_json and self.log_level is None:
            self.log_level = "info"
        return self

    @field_validator("engines")
    @classmethod
    def _no_bundled_name(cls, value: dict[str, EngineSettings]) -> dict[str, EngineSettings]:
        if "nano" in value:
            raise ValueError("nano is the bundled model's name")
        return value

    @field_validator("folders", mode="before")
    @classmethod
    def _some_whole_folders(cls, value: object) -> object:
        """Split a variable's text into folders; an empty text is rejected, since it would confine nobody."""
        names = value.split(os.pathsep) if isinstance(value, str) else value
        if names is None or not isinstance(names, list | tuple):
            return names
        if not names or not all(str(name).strip() for name in names):
            raise ValueError("it names no folder")
        return tuple(Path(str(name)).expanduser().absolute() for name in names)

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


def database_of(home: Path) -> str | None:
    """Return the address of the case library's PostgreSQL database; None for SQLite files.

    The setting ``database`` belongs to the home folder of the settings. Other folders, such as that of a replay, have
    SQLite files of their own.

    Raises:
        InputError: The settings cannot be used.
    """
    settings = load_settings()
    if settings.database is None or home.resolve() not in (settings.home.resolve(), home_folder().resolve()):
        return None
    return settings.database.get_secret_value()


def load_settings() -> Settings:
    """Read the settings.

    Raises:
        InputError: A value is wrong, or the file cannot be read; the message names the setting and where to correct it.
    """
    try:
        return Settings()  # type: ignore[call-arg]
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"The setting {name!r} is not usable: {first['msg']}. "
            f"Correct VIDEOPATH_{str(first['loc'][0]).upper()} or {home_folder() / 'videopath.toml'}."
        ) from error
    except SettingsError as error:
        raise InputError("VIDEOPATH_ENGINES is not usable: it must hold JSON, name → fields.") from error
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
