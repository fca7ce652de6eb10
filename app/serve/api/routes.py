"""`/v1/videos`, as OpenAI's clients speak it."""

from __future__ import annotations

import re
from typing import Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from ..errors import ApiError, wrong_field
from ..json_object import read_object
from ..store.keys import Client
from .service import ShownVideo, VideoService

MOST_FIELDS = 100
RANGE = re.compile(r"\s*(\d{1,18})-(\d{0,18})\s*|\s*-\d{1,18}\s*", re.ASCII)
POLL_AFTER = "500"  # milliseconds after which a client that waits should ask again


def make_router(service: VideoService) -> APIRouter:
    """The routes of a server, or of the studio."""
    router = APIRouter(prefix="/v1")

    def client_of(request: Request) -> Client:
        return service.client(request.headers.get("authorization"))

    def found(video_id: str, client: Client) -> ShownVideo:
        video = service.get(client, video_id)
        if video is None:
            raise ApiError(404, f"there is no video '{video_id[:64]}'", "video_id", "not_found")
        return video

    @router.post("/videos", openapi_extra={"requestBody": _body(service)})
    async def create(request: Request) -> JSONResponse:
        """Ask for a video. This answers at once, and the video is drawn when its turn comes."""
        client = await run_in_threadpool(client_of, request)
        service.count(client)
        (raw, files) = await _read_body(request)
        retry_key = request.headers.get("idempotency-key")
        if retry_key is not None and len(retry_key) > 200:
            raise wrong_field("Idempotency-Key", "it must have at most 200 letters")
        video = await run_in_threadpool(service.accept, client, raw, files, retry_key)
        return JSONResponse(video.to_json())

    @router.get("/videos")
    def page(
        request: Request,
        limit: int = Query(20, ge=1, le=100, description="videos of a page"),
        after: str | None = Query(None, description="the last video of the page before"),
        order: Literal["asc", "desc"] = Query("desc", description="desc: the newest first"),
    ) -> dict[str, Any]:
        """Your videos, page by page."""
        videos = service.page(client_of(request), limit + 1, after, order == "desc")
        data = [video.to_json() for video in videos[:limit]]
        return {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": len(videos) > limit,
        }

    @router.get("/videos/{video_id}")
    def retrieve(video_id: str, request: Request, response: Response) -> dict[str, Any]:
        """One video: how far it is, and what came of it."""
        response.headers["openai-poll-after-ms"] = POLL_AFTER
        return found(video_id, client_of(request)).to_json()

    @router.get("/videos/{video_id}/content", response_class=FileResponse)
    def content(video_id: str, request: Request, variant: str = "video") -> FileResponse:
        """The MP4 file, or a range of it."""
        video = found(video_id, client_of(request))
        if variant != "video":
            raise wrong_field("variant", f"variant must be video; got '{variant[:40]}'")
        if video.status != "completed":
            message = f"the video is {video.status}; its content comes when it is completed"
            raise ApiError(409, message, "video_id", "video_not_ready")
        path = service.path(video.id)
        if not path.is_file():
            message = "the file of this video is no longer here; ask for the video again"
            raise ApiError(404, message, "video_id", "not_found")
        _check_range(request.headers.get("range"))
        return FileResponse(path, media_type="video/mp4", filename=f"{video.id}.mp4")

    @router.post("/videos/{video_id}/cancel")
    def cancel(video_id: str, request: Request) -> dict[str, Any]:
        """End a video that is not completed; it has failed with the code "cancelled"."""
        client = client_of(request)
        found(video_id, client)
        video = service.cancel(client, video_id)
        return (video or found(video_id, client)).to_json()

    @router.delete("/videos/{video_id}")
    def delete(video_id: str, request: Request) -> dict[str, Any]:
        """Forget a video and remove its file, in whatever state it is."""
        client = client_of(request)
        found(video_id, client)
        deleted = service.delete(client, video_id)
        return {"id": video_id, "object": "video.deleted", "deleted": deleted}

    @router.get("/models")
    def models(request: Request) -> dict[str, Any]:
        """The models that can be named."""
        client_of(request)
        data = [
            {"id": name, "object": "model", "owned_by": "kinetoscope"} for name in service.models()
        ]
        return {"object": "list", "data": data}

    return router


def _check_range(header: str | None) -> None:
    """Refuse a Range that is none, in the one shape of errors."""
    if header is None:
        return
    (unit, _, ranges) = header.partition("=")
    found = [RANGE.fullmatch(each) for each in ranges.split(",")]
    is_right = unit.strip().lower() == "bytes" and all(
        each and not (each[2] and int(each[2]) < int(each[1])) for each in found
    )
    if not is_right:
        raise wrong_field("Range", f"Range must be such as bytes=0-99; got '{header[:40]}'")


async def _read_body(request: Request) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The fields of JSON or of a form, and the files of a form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return read_object(await request.body(), "the body"), {}
    if kind not in ("multipart/form-data", "application/x-www-form-urlencoded"):
        message = "send application/json or multipart/form-data"
        raise ApiError(400, message, "Content-Type", "invalid_value")
    fields: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    async with request.form(max_files=8, max_fields=MOST_FIELDS) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                files[name] = await value.read()
            else:
                _add(fields, name, value)
    return fields, files


def _add(fields: dict[str, Any], name: str, value: str) -> None:
    """A field of a form; `name[]` is an item of a list, and `name[key]` one of an object."""
    (base, bracket, key) = name.partition("[")
    if not bracket:
        fields[name] = value
    elif key == "]":
        fields.setdefault(base, []).append(value)
    else:
        inside = fields.setdefault(base, {})
        if isinstance(inside, dict):
            inside[key.rstrip("]")] = value


def _body(service: VideoService) -> dict[str, Any]:
    """What the page that documents the interface says of a request's body."""
    schema = service.body_schema()
    kinds = ("application/json", "multipart/form-data")
    return {"required": True, "content": {kind: {"schema": schema} for kind in kinds}}
