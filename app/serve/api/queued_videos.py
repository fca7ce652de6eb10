"""The videos of a server, which wait in its queue and are drawn by its workers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...limited_process import Limits
from ...provenance.policy import Gate, Refused
from ...provenance.policy import Request as Wish
from ..errors import ApiError, wrong_field
from ..request import VideoRequest, read_request
from ..server_state import ServerState
from ..store.keys import Client
from ..store.queue import Video, new_id
from ..workers.uploads import UploadFolder, take_files
from .service import ShownVideo

REFUSED = "content_policy_violation"


class QueuedVideos:
    """The `VideoService` of a server."""

    def __init__(self, state: ServerState) -> None:
        self.state = state
        self.queue = state.queue

    def client(self, authorization: str | None) -> Client:
        return self.state.keys.client(authorization)

    def count(self, client: Client) -> None:
        self.state.keys.count(client)

    def accept(
        self,
        client: Client,
        raw: Mapping[str, Any],
        files: Mapping[str, bytes],
        retry_key: str | None,
    ) -> ShownVideo:
        state = self.state
        (rest, contents) = take_files(raw, files, state.model.fields)
        video_id = new_id()
        uploads = UploadFolder(state.folder, video_id)
        try:
            for name, content in contents.items():
                uploads.add(name, content)
            (request, priority) = read_request(rest, uploads.files, state.model, state.schema)
            self._check_limits(request, priority, client)
            check_policy(state.gate, request.prompt, client)
            if contents:
                canvas = state.model.canvas(request.fps, request.frames)
                limits = Limits(state.settings.upload_time, state.settings.upload_memory)
                uploads.decode(canvas, limits)
            video = self.queue.accept(
                client.name,
                request.to_json(),
                request.frames,
                priority,
                client.max_active,
                retry_key,
                video_id,
            )
        except BaseException:
            uploads.remove()
            raise
        if video.id != video_id:  # it was asked for before
            uploads.remove()
        state.pool.wake()
        return self._shown(video)

    def _check_limits(self, request: VideoRequest, priority: int, client: Client) -> None:
        most = self.state.settings.max_frames
        if request.frames > most:
            message = f"a video may have at most {most} frames here; got {request.frames}"
            raise wrong_field("frames", message)
        if not 0 <= priority <= client.max_priority:
            message = f"priority must be 0 to {client.max_priority} for you; got {priority}"
            raise wrong_field("priority", message)

    def get(self, client: Client, video_id: str) -> ShownVideo | None:
        video = self.queue.get(video_id, client.name)
        return None if video is None else self._shown(video)

    def page(
        self, client: Client, limit: int, after: str | None, newest_first: bool
    ) -> list[ShownVideo]:
        videos = self.queue.page(client.name, limit, after, newest_first)
        return [self._shown(video) for video in videos]

    def path(self, video_id: str) -> Path:
        return self.state.video_path(video_id)

    def cancel(self, client: Client, video_id: str) -> ShownVideo | None:
        video = self.queue.cancel(video_id, client.name)
        return None if video is None else self._shown(video)

    def delete(self, client: Client, video_id: str) -> bool:
        deleted = self.queue.delete(video_id, client.name)
        self.state.remove_files(video_id)
        return deleted

    def models(self) -> list[str]:
        return [self.state.model.name]

    def body_schema(self) -> dict[str, Any]:
        return self.state.schema.model_json_schema()

    def _shown(self, video: Video) -> ShownVideo:
        request = VideoRequest.from_json(video.request)
        model = self.state.model
        error = None
        if video.error_code is not None:
            error = (video.error_code, video.error_message or "")
        return ShownVideo(
            video.id,
            model.name,
            video.status,
            request.prompt,
            video.frames,
            video.frames_done,
            request.fps,
            request.seed,
            f"{model.width * request.scale}x{model.height * request.scale}",
            video.created_at,
            video.completed_at,
            video.expires_at if video.status == "completed" else None,
            error,
        )


def check_policy(gate: Gate, prompt: str, client: Client) -> None:
    """Ask the operator's policy about the sentence, before anything waits for it. Whoever draws
    asks again, with all that is given.

    Raises:
        ApiError: 400.
    """
    try:
        gate.check(Wish(prompt, {}, client.name))
    except Refused as refusal:
        raise ApiError(400, str(refusal), "prompt", REFUSED) from None
