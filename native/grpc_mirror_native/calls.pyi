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
        leading: Any,
        no_deadline_s: float,
        plain_bytes: int,
    ) -> None: ...

class SyncUnary: ...
class AioUnary: ...
