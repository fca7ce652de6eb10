"""All errors of an application in the one shape that OpenAI's clients read."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ..errors import ApiError, wrong_field
from ..logs import log

WAYS_OUT = {
    404: "there is no such address; see /docs for those that there are",
    405: "this address does not take this method; see /docs for those that it takes",
}


def add_errors(app: FastAPI) -> None:
    """All errors in one shape."""

    def answer(error: ApiError) -> JSONResponse:
        return JSONResponse(error.body(), error.status, error.headers())

    @app.exception_handler(ApiError)
    async def refused(_: Request, error: ApiError) -> JSONResponse:
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        name = str(first["loc"][-1])
        return answer(wrong_field(name, f"{name}: {first['msg']}"))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        return answer(ApiError(error.status_code, WAYS_OUT.get(error.status_code, error.detail)))

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> JSONResponse:
        log("error", message=f"{type(error).__name__}: {error}")
        return answer(ApiError(500, "something went wrong here; the log says what"))
