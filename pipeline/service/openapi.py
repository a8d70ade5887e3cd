"""The OpenAPI document: what can be asked, with every answer."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from twinpix.pipeline.relation.kinds import Kind
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.service.bounds import Bounds

Json = dict[str, Any]
NUMBER, TEXT, WHOLE, TRUTH = ({"type": kind} for kind in ("number", "string", "integer", "boolean"))
ID = {"type": "string", "pattern": "^[0-9a-f]{32}$", "description": "BLAKE2b of the file's bytes (16 bytes, hex)."}
DISTANCE = {
    "type": "number",
    "minimum": 0,
    "maximum": 2,
    "description": "L2 distance of the embeddings, 0 (same) to 2.",
}
WHY = {
    400: "A parameter or the form can't be understood.",
    401: "No valid API key.",
    403: "Asked for by another site's page in a browser.",
    404: "There is no such picture.",
    408: "The body did not arrive in time.",
    413: "The body is too large; it was not read to its end.",
    415: "Not a picture, of a kind that is not read, or another Content-Type.",
    421: "The service is not called by this name.",
    422: "The picture is damaged, too large, or its decoder crashed or took too long; `reason` says which.",
    429: "The queue is full; Retry-After says when to come back.",
    500: "A fault of the service.",
    503: "Not at this moment: overloaded, stopping, or the library is busy or can't be written.",
}


def document(bounds: Bounds, has_keys: bool) -> Json:
    """OpenAPI 3.1."""
    always = [400, *([401] if has_keys else [403, 421]), 500, 503]
    job, upload = [*always, 429], [*always, 429, 408, 413, 415, 422]
    answers = {"check": "What is known of the picture.", "add": "It was here before.", "new": "It is here from now on."}
    paths: Json = {
        "/check": {
            "post": _operation(
                "check", "Is this picture here already? Nothing is changed.", _parameters(), _body(bounds),
                {200: (answers["check"], "Checked")}, upload,
            )
        },
        "/images": {
            "post": _operation(
                "add", "Keep this picture, and say which others it duplicates. Of two at once, one sees the other.",
                _parameters(), _body(bounds), {200: (answers["add"], "Added"), 201: (answers["new"], "Added")}, upload,
            )
        },
        "/images/{id}": {
            "delete": _operation(
                "forget", "Forget a picture. Its file is deleted only if it was uploaded.",
                [_parameter("id", ID, "path")], None, {200: ("It is forgotten.", "Forgotten")}, [*job, 404],
            )
        },
        "/search": {
            "get": _operation(
                "search", "The pictures nearest to one that is here, by distance alone.",
                [_parameter("id", ID, required=True),
                 _parameter("k", {"type": "integer", "minimum": 1, "maximum": 100, "default": 10})],
                None, {200: ("Nearest first.", "Neighbours")}, [*job, 404],
            )
        },
        "/health": {
            "get": _operation("health", "Whether the service is there: answered at once, and without a key.", [],
                              None, {200: ("It is.", "Health")}, [code for code in always if code not in (401, 503)])
        },
        "/metrics": {
            "get": {**_operation("metrics", "Counters for Prometheus.", [], None, {}, always[:-1]), }
        },
    }  # fmt: skip
    paths["/metrics"]["get"]["responses"]["200"] = {
        "description": "Prometheus's text format.", "content": {"text/plain": {"schema": TEXT}},
    }  # fmt: skip
    paths["/health"]["get"]["security"] = []
    about = (
        "Uploads are the field `image` of a form, or raw bytes as image/* or application/octet-stream, "
        f"up to {bounds.body:,} bytes and {bounds.pixels:,} pixels."
    )
    keys = {
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "twinpix", "version": version("twinpix"), "description": about,
                 "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "paths": paths,
        **({"security": [{"key": []}, {"bearer": []}]} if has_keys else {}),
        "components": {"schemas": SCHEMAS, **({"securitySchemes": keys} if has_keys else {})},
    }  # fmt: skip


def _operation(
    name: str, what: str, parameters: list[Json], body: Json | None, good: dict[int, tuple[str, str]], bad: list[int]
) -> Json:
    responses: Json = {
        str(code): {"description": text, "content": {"application/json": {"schema": _ref(schema)}}}
        for code, (text, schema) in good.items()
    }
    for code in sorted(bad):
        content = {"application/problem+json": {"schema": _ref("Problem")}}
        headers = {"Retry-After": {"schema": WHOLE}} if code in (429, 503) else {}
        responses[str(code)] = {
            "description": WHY[code],
            "content": content,
            **({"headers": headers} if headers else {}),
        }
    request = {} if body is None else {"requestBody": body}
    return {"operationId": name, "summary": what, "parameters": parameters, **request, "responses": responses}


def _parameter(name: str, schema: Json, place: str = "query", what: str = "", required: bool = False) -> Json:
    described = {"description": what} if what else {}
    return {"name": name, "in": place, "required": required or place == "path", "schema": schema, **described}


def _parameters() -> list[Json]:
    return [
        _parameter("threshold", {"type": "number", "minimum": 0, "maximum": 2},
                   what="L2 distance: pictures at most this far away are duplicates. By default it is calibrated."),
        _parameter("verify", TRUTH, what="Take a second look at near pictures; by default only without a threshold."),
    ]  # fmt: skip


def _body(bounds: Bounds) -> Json:
    # not `maxLength`, which counts characters: bytes of a body are refused by 413
    picture = {"type": "string", "format": "binary", "description": f"up to {bounds.body:,} bytes"}
    form = {"type": "object", "required": ["image"], "properties": {"image": picture}, "additionalProperties": False}
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": form, "encoding": {"image": {"contentType": "image/*"}}},
            "image/*": {"schema": picture},
            "application/octet-stream": {"schema": picture},
        },
    }


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(**properties: Json) -> Json:
    required = [name for name in properties if name != "reason"]
    return {"type": "object", "required": required, "properties": properties}


def _or_null(kind: str, **more: Any) -> Json:
    return {"type": [kind, "null"], **more}


def _one_of(values: list[str]) -> Json:
    return {"type": ["string", "null"], "enum": [*values, None]}


_MATCH = _object(
    id=ID,
    name={**TEXT, "description": "Of its file, below the folder that was added."},
    distance=DISTANCE,
    second_look=_one_of([str(one) for one in Outcome]),
    relation={**_one_of([str(one) for one in Kind]), "description": "What the two are to one another."},
    original={**_one_of(["upload", "match"]), "description": "Which of the two holds more."},
    edits=_or_null("object", description="What was done to the original; see `Edits` in the reference."),
    sentence=_or_null("string", description="The same in words."),
    note=_or_null("string", description="What the verdict rests on, where that is less than usual."),
)
_CHECKED: dict[str, Json] = {
    "schema": {"const": 1},
    "id": ID,
    "duplicate": {**TRUTH, "description": "Whether there are matches."},
    "threshold": DISTANCE,
    "unverified_threshold": {**DISTANCE, "description": "The same for pairs that a second look can't settle."},
    "matches": {"type": "array", "items": _ref("Match"), "description": "The duplicates, closest first."},
    "near": {"type": "array", "items": _ref("Match"), "description": "No duplicates, but near: other shots, say."},
    "refuted": {**WHOLE, "description": "Pictures within the threshold that turned out to be different ones."},
    "more": {**TRUTH, "description": "Whether there were more pictures within the threshold than are looked at."},
    "picture": _object(format=TEXT, width=WHOLE, height=WHOLE, bytes=WHOLE),
    "images": {**WHOLE, "description": "How many pictures were searched."},
    "fingerprint": {**TEXT, "description": "Of the encoder."},
}
_NEIGHBOUR = _object(id=ID, name=TEXT, distance=DISTANCE, duplicate=_or_null("boolean"))
SCHEMAS: Json = {
    "Problem": _object(type=TEXT, title=TEXT, status=WHOLE, detail=TEXT, reason=TEXT),
    "Match": _MATCH,
    "Checked": _object(**_CHECKED),
    "Added": _object(**_CHECKED, added={**TRUTH, "description": "Whether it was not here before."}),
    "Forgotten": _object(
        schema={"const": 1},
        id=ID,
        forgotten={**WHOLE, "description": "Files that the library knew."},
        deleted={**WHOLE, "description": "Of them, uploaded ones, which are deleted."},
    ),
    "Neighbours": _object(
        schema={"const": 1},
        id=ID,
        threshold=_or_null("number"),
        nearest={"type": "array", "items": _NEIGHBOUR},
        images=WHOLE,
        fingerprint=TEXT,
    ),
    "Health": _object(
        status={"enum": ["ok"]}, images=WHOLE, waiting=WHOLE, working=WHOLE, fingerprint=TEXT, index=TEXT, version=TEXT
    ),
}
