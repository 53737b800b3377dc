from typing import Any

class Means:
    def __init__(
        self,
        *,
        served: Any,
        plain: type[Any],
        current_context: Any,
        attach: Any,
        detach: Any,
        led: Any,
        context: Any,
        span_key: str,
        span: type[Any],
        no_deadline_s: float,
        plain_bytes: int,
    ) -> None: ...

def is_mirrored(metadata: Any) -> bool: ...

class RequestCodec:
    def __init__(self, recorder: Any, original: Any, on_malformed: Any, kind: type[Any], there: Any) -> None: ...
    def __call__(self, raw: Any) -> Any: ...

class ResponseCodec:
    def __init__(self, recorder: Any, original: Any, kind: type[Any], there: Any) -> None: ...
    def __call__(self, message: Any) -> Any: ...

class SyncUnary: ...
class AioUnary: ...
