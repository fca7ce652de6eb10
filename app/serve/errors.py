"""What goes wrong with a request, in the shape that OpenAI's clients read."""

from __future__ import annotations

from typing import Any

KINDS = {  # what is not here is an invalid_request_error, or from 500 on a server_error
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}


class ApiError(Exception):
    """A refusal.

    Args:
        status: of HTTP.
        message: one line with the way out.
        param: the field that is wrong.
        code: a word for programs.
        retry_after: seconds after which it may work.
    """

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.retry_after = retry_after

    def body(self) -> dict[str, Any]:
        others = "server_error" if self.status >= 500 else "invalid_request_error"
        kind = KINDS.get(self.status, others)
        told = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return {"error": told}

    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def wrong_field(name: str, message: str) -> ApiError:
    """A field of a request that cannot be."""
    return ApiError(400, message, param=name, code="invalid_value")
