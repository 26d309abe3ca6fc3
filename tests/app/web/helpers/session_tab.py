"""A session of ``videopath app`` as a browser holds it, without a browser."""

from __future__ import annotations

from typing import Any, Self

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect


class Tab:
    """A session as a browser holds it: what it was shown last, and the widgets' values that it sends back."""

    def __init__(self, port: int) -> None:
        self._socket = connect(f"ws://127.0.0.1:{port}/_stcore/stream", max_size=None)
        self._page = self.query = ""
        self._ids: dict[str, str] = {}
        self._values: dict[str, WidgetState] = {}
        self.texts: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def open_first_page(self) -> None:
        """Go to the first page, as by its link."""
        self._page = self.query = ""
        self._values.clear()
        self.run()

    def run(self, **values: Any) -> None:
        """Let the page run with these values of its widgets, by key, to its end."""
        for key, value in values.items():
            self._values[key] = WidgetState(id=self._ids[key], **value)
        asked = BackMsg(rerun_script={"page_script_hash": self._page, "query_string": self.query})
        asked.rerun_script.widget_states.widgets.extend(self._values.values())
        self._values = {key: s for key, s in self._values.items() if s.WhichOneof("value") != "trigger_value"}
        self.texts = []
        self._socket.send(asked.SerializeToString())
        while not self._take(ForwardMsg.FromString(self._socket.recv(timeout=90))):  # type: ignore[arg-type]
            pass

    def _take(self, message: ForwardMsg) -> bool:
        """Note what a message shows; True when the run has come to its end."""
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._page = message.new_session.page_script_hash
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        elif kind == "delta":
            self._note(message.delta.new_element)
        done = ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_WITH_COMPILE_ERROR
        return kind == "script_finished" and message.script_finished in done

    def _note(self, element: Any) -> None:
        kind = element.WhichOneof("type")
        shown = getattr(element, kind) if kind else None
        if hasattr(shown, "id") and shown.id:
            self._ids[shown.id.rpartition("-")[2]] = shown.id
        for field in ("body", "message", "label"):
            self.texts.append(getattr(shown, field, ""))
