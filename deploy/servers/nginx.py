"""A private nginx."""

import signal
from pathlib import Path
from typing import Self

from deploy.servers.install import find
from deploy.servers.process import Process, Server, ServerError, accepts, wait_until


class NginxServer(Server):
    """nginx in a folder of its own. The text of its configuration listens on `port` and holds `preamble`."""

    kind = "nginx"
    user = "www-data"
    ports = ("http",)

    def __init__(self, folder: Path | None = None, *, keep: bool | None = None) -> None:
        super().__init__(folder, keep=keep)
        self._conf_text = ""

    @property
    def url(self) -> str:
        """The origin that it serves."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def preamble(self) -> str:
        """Lines for the http block that keep nginx inside its folder: temporary files, no access log."""
        parts = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        return "access_log off;\n" + "".join(f"{part}_temp_path {self.folder}/temp/{part};\n" for part in parts)

    def start(self, conf_text: str | None = None) -> Self:
        """Start with this configuration (without one: 204 to everything, until a `reload`).

        Raises ServerError saying what is wrong with it.
        """
        self._conf_text = conf_text or self._bare()
        return super().start()

    def reload(self, conf_text: str) -> None:
        """Take a new configuration without losing a request; returns when only the new one is answered by.

        Raises ServerError when it is wrong; then the old one stays in force.
        """
        if (master := self.process) is None or not master.alive:
            raise ServerError("nginx is not running")
        self._check(conf_text)
        old = set(master.children())
        master.signal(signal.SIGHUP)

        def handed_over() -> bool:
            now = set(master.children())
            return bool(now - old) and all(_is_leaving(worker) for worker in now & old)

        wait_until(handed_over, 30, "nginx's old workers went on")

    def _bare(self) -> str:
        server = f"server {{ listen 127.0.0.1:{self.port}; return 204; }}"
        return f"events {{}}\nhttp {{\n{self.preamble}{server}\n}}\n"

    def _command(self, conf: Path) -> list[str | Path]:
        globals_ = f"daemon off; pid {self.folder}/nginx.pid;"
        return [find("nginx"), "-p", self.folder, "-e", self.folder / "nginx.log", "-c", conf, "-g", globals_]

    def _check(self, conf_text: str) -> None:
        """Put the text in place if nginx finds it right; raises ServerError if not."""
        trial = self._write("nginx.conf.new", conf_text)
        self._run(*self._command(trial), "-t", "-q")
        trial.replace(self.folder / "nginx.conf")

    def _launch(self) -> None:
        (self.folder / "temp").mkdir(exist_ok=True)
        self._own(self.folder / "temp")
        self._check(self._conf_text)
        self._spawn("nginx", self._command(self.folder / "nginx.conf"))

    def _ready(self) -> bool:
        return accepts(self.port)

    def _halt(self) -> None:
        if master := self.process:
            tree = master.tree()
            master.signal(signal.SIGTERM)
            self._await_end(tree)


def _is_leaving(worker: Process) -> bool:
    """Whether it takes no new connections: told to finish, a worker shows that in its title."""
    try:
        title = Path(f"/proc/{worker.pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return b"shutting down" in title or not worker.alive
