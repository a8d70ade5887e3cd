"""The OpenAPI document as a page to read: made here, without a script, and with nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Any

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#1c2024;
background:#fbfaf8}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin:2.4rem 0 .3rem}
h3{font-size:.95rem;margin:1rem 0 .2rem}code,pre{font:14px/1.45 ui-monospace,monospace}
pre{background:#efede8;padding:.7rem .9rem;overflow-x:auto;border-radius:6px}b.verb{color:#fff;background:#3b6ea5;
padding:.1rem .5rem;border-radius:4px;font:600 .8rem system-ui;margin-right:.5rem}b.post{background:#2e7d4f}
b.delete{background:#b3443c}table{border-collapse:collapse;width:100%;font-size:.92rem}
td{padding:.25rem .8rem .25rem 0;border-top:1px solid #e2e0da;vertical-align:top}td:first-child{white-space:nowrap}
@media(prefers-color-scheme:dark){body{background:#16181b;color:#e4e4e2}pre{background:#22262b}td{border-color:#33383e}
a{color:#8db8ea}}
"""
CURL = {
    "check": "curl -F image=@photo.jpg {at}/check",
    "add": "curl -F image=@photo.jpg {at}/images",
    "forget": "curl -X DELETE {at}/images/ID",
    "search": "curl '{at}/search?id=ID&amp;k=5'",
    "health": "curl {at}/health",
    "metrics": "curl {at}/metrics",
}


def style_hash() -> str:
    """By which the Content-Security-Policy knows the style."""
    return base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


def page(document: dict[str, Any], address: str) -> str:
    """HTML.

    Args:
        address: of the service, for the examples.
    """
    operations = "".join(
        _operation(path, verb, told, address)
        for path, verbs in document["paths"].items()
        for verb, told in verbs.items()
    )
    info = document["info"]
    key = "<p>Send your key with each request: <code>-H 'X-API-Key: KEY'</code>.</p>" if "security" in document else ""
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>twinpix</title><style>{STYLE}</style><h1>twinpix {escape(info['version'])}</h1>"
        f"<p>{escape(info['description'])} Everything here is in <a href='/openapi.json'>openapi.json</a>.</p>{key}"
        f"{operations}</html>"
    )


def _operation(path: str, verb: str, told: dict[str, Any], address: str) -> str:
    parameters = "".join(
        _row(f"{escape(one['name'])}", f"{_kind(one['schema'])}. {escape(one.get('description', ''))}")
        for one in told["parameters"]
    )
    answers = "".join(_row(code, escape(answer["description"])) for code, answer in told["responses"].items())
    asked = f"<h3>Parameters</h3><table>{parameters}</table>" if parameters else ""
    return (
        f"<h2><b class='verb {verb}'>{verb.upper()}</b><code>{escape(path)}</code></h2><p>{escape(told['summary'])}</p>"
        f"<pre>{CURL[told['operationId']].format(at=escape(address))}</pre>{asked}<h3>Answers</h3><table>{answers}</table>"
    )


def _kind(schema: dict[str, Any]) -> str:
    limits = [f"{schema[key]:g}" for key in ("minimum", "maximum") if key in schema]
    return escape(f"{schema['type']}{', ' + ' to '.join(limits) if limits else ''}")


def _row(name: str, text: str) -> str:
    return f"<tr><td><code>{name}</code><td>{text}"
