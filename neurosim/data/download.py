"""Fetching one file from public mirrors into the cache. Standard library only; never runs at import."""

from __future__ import annotations

import http.client
import os
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

from neurosim.data.progress import Progress, shown
from neurosim.errors import DataError

T = TypeVar("T")

#: seconds without an answer or a byte before a mirror is given up
TIMEOUT_S = 20.0
#: bytes per read
CHUNK = 1 << 18


def _require_safe(url: str) -> None:
    """HTTPS only; plain HTTP just from this machine. Keeps out file:, ftp: and data:, which urllib opens as well."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")):
        return
    raise DataError(f"refused to open {url}: not HTTPS")


class _SafeRedirect(urllib.request.HTTPRedirectHandler):
    """Follows redirects only to addresses that :func:`_require_safe` accepts."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        _require_safe(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def open_url(url: str, timeout_s: float) -> http.client.HTTPResponse:
    """Open ``url`` for reading."""
    _require_safe(url)
    opener = urllib.request.build_opener(_SafeRedirect())
    request = urllib.request.Request(url, headers={"User-Agent": "neurosim"})  # some mirrors refuse urllib's own
    response: http.client.HTTPResponse = opener.open(request, timeout=timeout_s)
    return response


def fetch(
    urls: tuple[str, ...],
    target: Path,
    max_bytes: int,
    accept: Callable[[Path], T],
    progress: Progress | None,
    tried: list[str],
) -> tuple[T, str] | None:
    """Try each mirror until one gives a file that ``accept`` takes; keep that file as ``target``.

    Returns (content, url), or None, with one line per failure added to ``tried``. Bytes go to a ``.part`` file beside
    ``target`` that is renamed only after ``accept`` passed, so the cache never holds half a file.
    """
    if os.environ.get("NEUROSIM_OFFLINE"):
        tried.append("public mirrors: not asked, NEUROSIM_OFFLINE is set")
        return None
    # process and thread in the name: two runs that start together must not write into one file
    part = target.with_name(f"{target.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
    except OSError as error:
        tried.append(f"public mirrors: not asked, the cache cannot be written ({error})")
        return None
    try:
        for url in urls:
            try:
                with shown(progress) as show:
                    _save(url, part, max_bytes, lambda done, total: show(target.name, done, total))
                content = accept(part)
                os.replace(part, target)
                return content, url
            except (DataError, OSError, http.client.HTTPException) as error:
                # the checks name the .part file, which the user never sees
                tried.append(f"{url}: {str(error).replace(str(part), 'the downloaded file') or type(error).__name__}")
    finally:
        part.unlink(missing_ok=True)
    return None


def _save(url: str, part: Path, max_bytes: int, show: Callable[[int, int | None], None]) -> None:
    with open_url(url, TIMEOUT_S) as response, open(part, "wb") as out:
        length = response.headers.get("Content-Length")
        total = int(length) if length and length.isdecimal() else None
        done = 0
        while chunk := response.read(CHUNK):
            done += len(chunk)
            if done > max_bytes:
                raise DataError(f"more than the {max_bytes} bytes that this file can have")
            out.write(chunk)
            show(done, total)
    if total is not None and done != total:
        raise DataError(f"the connection ended after {done} of {total} bytes")
