"""The worker's pipeline: one thread that reads the partitions it owns, and runs the stages of judging on them.

A lane a partition. What was read and not counted is left where it is when a partition goes to another worker, who reads it again:
nothing is judged for want of its other half. Time in a lane is that of its records' arrival; while nothing comes it is that of the
clock, once the broker has said that there is nothing more, less what clocks may differ.

Where anything goes wrong with the ownership (a partition lost, a commit refused since another worker has it, a store that fails
while partitions are taken) the group is left, all that was not committed is forgotten, and reading begins anew at the
checkpoints. That costs time and never a count.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from mirror.collect.batch import Batch
from mirror.collect.faults import log_fault
from mirror.collect.lane import Lane
from mirror.collect.parts import Parts
from mirror.collect.receive import count_spans
from mirror.collect.slices import BadBatch, Slicer
from mirror.collect.stages import Stages
from mirror.config.sections import Kafka
from mirror.core.ledger import Progress
from mirror.kafka.clients import KafkaError, library
from mirror.kafka.dead_letters import DeadLetters
from mirror.kafka.partitions import Partitions
from mirror.kafka.tracks import Track
from mirror.store import Checkpoint, Claim, StoreError

TURN_MAX_S: Final = 0.25  # the longest wait for messages, so that commits are kept
CLOCKS_S: Final = 2.0  # by which the brokers' clocks and ours may differ
ASK_EVERY_S: Final = 0.5  # how often the broker is asked whether a partition has more
LOOK_EVERY_S: Final = 1.0  # for schemas of others
HINT_EVERY_S: Final = 5.0
BEHIND_S: Final = 5.0  # later than this a lane is catching up
CLAIM_S: Final = 30.0
TAKEN_S: Final = 15.0  # for the last commit of partitions that go to another worker
DEAD_S: Final = 1.0
PAUSE_S: Final = 1.0
UNREADABLE_TRIES: Final = 3
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Inlet:
    """What the pipeline reads with."""

    settings: Kafka
    slicer: Slicer
    dead_letters: DeadLetters
    claim: Callable[[int], Claim]  # of a partition of the topic, in the store
    new_lane: Callable[[Claim], Lane]
    wait_s: float  # for schemas
    queue_max_bytes: int
    on_error: Callable[[Any], None]  # told what the library says of the cluster


class WorkerPipeline:
    """The thread. `clock`: unix seconds."""

    def __init__(self, inlet: Inlet, parts: Parts, *, clock: Callable[[], float]) -> None:
        self._inlet = inlet
        self._clock = clock
        self._stages = Stages(parts, clock=clock, done=self._done, may_commit=self._may_commit)
        self._partitions: Partitions | None = None
        self._tracks: dict[int, Track] = {}
        self._moved: list[int] = []  # taken within this poll
        self._lowest_open: dict[int, int] = {}
        self._hinted_s = self._looked_s = 0.0
        self._broken = ""  # why this membership must end
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror-worker", daemon=True)
        self.problem = "not in the group yet"

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def client(self) -> Any:
        """The consumer of now, or None."""
        return self._partitions and self._partitions.client

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Commit, leave the group and end. False: it did not in time, and the next owners read from the last checkpoint."""
        self._ending.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        stages = self._stages
        stages.guard("rules", stages.use_day, self._clock())
        while not self._ending.is_set():
            try:
                self._be_member()
            except (KafkaError, StoreError, library().KafkaException) as problem:
                self.problem = str(problem)
                _log.error("this worker reads nothing, and tries again: %s", problem)
            except Exception as fault:  # noqa: BLE001 - the worker must go on
                self.problem = f"a fault of the worker: {type(fault).__name__}; the log says where"
                stages.counters.inc("mirror_internal_errors_total", stage="worker")
                log_fault(_log, "reading partitions", fault)
            self._ending.wait(PAUSE_S)

    def _be_member(self) -> None:
        """Read until the end, or until something is wrong with what we own."""
        inlet, stages = self._inlet, self._stages
        self._broken = ""
        stages.writer.begin_anew()
        members = self._partitions = Partitions(
            inlet.settings,
            given=self._given,
            taken=self._taken,
            on_error=inlet.on_error,
            queue_max_bytes=inlet.queue_max_bytes,
        )
        self.problem = ""
        try:
            while not self._ending.is_set() and not self._lost():
                self._turn(members)
            if not self._lost():
                stages.flush(within_s=TAKEN_S)
        except BaseException:
            self._broken = self._broken or "it failed"
            raise
        finally:
            members.close()
            self._partitions = None
            self._forget(list(self._tracks))

    def _lost(self) -> bool:
        """Whether what was not committed can never be: it is to be read again."""
        if self._stages.writer.ended and not self._broken:
            self._broken = self._stages.writer.ended
            self._stages.counters.inc("mirror_kafka_fenced_total")
        if self._broken:
            self.problem = self._broken
        return bool(self._broken)

    def _may_commit(self) -> bool:
        """Not once a lane is gone with what it closed: its counts would be in the store, and its position would not."""
        return not self._broken and self._inlet.dead_letters.settled(DEAD_S)

    def _turn(self, members: Partitions) -> None:
        stages, now_s = self._stages, self._clock()
        stages.guard("rules", stages.use_day, now_s)
        self._moved.clear()
        for message in members.poll(TURN_MAX_S):
            stages.guard("message", self._message, message)
        if self._lost():
            return
        for track in self._tracks.values():
            self._pass_time(members, track)
        if not 0 <= now_s - self._looked_s < LOOK_EVERY_S:
            self._looked_s = now_s
            stages.guard("schemas", stages.look_again, now_s)
        stages.tell_of_rules()
        stages.flush_in_time(now_s)
        self._figures(members)
        if self._lowest_open and not 0 <= now_s - self._hinted_s < HINT_EVERY_S:
            self._hinted_s = now_s
            self._hint(members)

    def _message(self, message: Any) -> None:
        """Take one message. Only what is not counted yet of it counts."""
        if message.error() is not None:
            self.problem = f"Kafka: {message.error().str()}"
            self._inlet.on_error(message.error())
            self._unreadable(message)
            return
        self.problem = ""
        partition, position = message.partition(), message.offset()
        track = self._tracks.get(partition)
        if track is None or position < track.position:
            return  # it is another's now
        now_s = self._clock()
        kind, stamp_ms = message.timestamp()
        arrived_s = stamp_ms / 1000 if kind else now_s
        recovered = track.note(position, arrived_s, now_s)
        batch = self._cut(track, message, arrived_s)
        track.lane.see(arrived_s)
        if batch is None:
            track.lane.reread(position, ())
        else:
            batch.origin.partition, batch.origin.position = partition, position
            if track.recovering:
                self._stages.reread(batch)
            else:
                self._stages.read(batch)
        if recovered:
            self._recovered(track)

    def _unreadable(self, message: Any) -> None:
        """A record that the library cannot unpack comes as an error, again and again: after some times it is passed over.

        It cannot be put away, for nobody has its bytes; that is counted. The partition goes on.
        """
        kafka, track, position = library().KafkaError, self._tracks.get(message.partition()), message.offset()
        if track is None or self._partitions is None or position < track.position:
            return
        if message.error().code() not in {kafka._BAD_COMPRESSION, kafka._BAD_MSG}:  # noqa: SLF001 - so they are called
            return
        if track.fails_at(position) >= UNREADABLE_TRIES:
            track.position = position + 1
            self._stages.counters.inc("mirror_dead_letters_lost_total")
            where = (track.lane.partition, position, message.error().str())
            _log.error("partition %d at %d cannot be read and is passed over: %s", *where)
            self._partitions.skip_to(track.lane.partition, position + 1)

    def _cut(self, track: Track, message: Any, arrived_s: float) -> Batch | None:
        """The message's records. What cannot be read goes to the dead letters, once."""
        reason, text, batch = "", "", None
        try:
            batch = self._inlet.slicer.slice(message.value() or b"", arrived_s=arrived_s)
        except BadBatch:
            reason, text = "malformed", "not a serialised TracesData"
        except Exception as fault:  # noqa: BLE001 - one message must not stop its partition
            reason, text = "internal_error", f"a fault of the worker: {type(fault).__name__}"
            log_fault(_log, "reading a message", fault)
        if batch is not None and batch.rejected:
            reason, text = min(batch.rejected), batch.message
        if message.offset() >= track.lane.progress.next_position:
            if reason:
                self._inlet.dead_letters.put(message, reason, text)
            if batch is not None:
                count_spans(self._stages.counters, batch)
        return batch

    def _pass_time(self, members: Partitions, track: Track) -> None:
        """Let the lane's time pass, by the broker's word that nothing came, and let go what has waited long enough."""
        lane, now_s = track.lane, self._clock()
        behind = now_s - lane.seen_s > BEHIND_S and track.position < members.known_end(lane.partition)
        track.wait_for_schemas(now_s, behind=behind)
        wanted_s = now_s if len(lane.waiting) else lane.pairer.next_deadline_s
        if wanted_s is not None and lane.seen_s < wanted_s and self._may_ask(track, wanted_s, now_s):
            track.asked_s = now_s
            try:
                _, end = members.bounds(lane.partition)
            except library().KafkaException as problem:
                self._inlet.on_error(problem.args[0])
                return
            if track.position >= end:
                lane.seen_s = max(lane.seen_s, now_s - CLOCKS_S)
        self._stages.expire(lane)

    @staticmethod
    def _may_ask(track: Track, wanted_s: float, now_s: float) -> bool:
        due = bool(len(track.lane.waiting)) or wanted_s <= now_s - CLOCKS_S
        return due and now_s - track.asked_s >= ASK_EVERY_S and now_s - track.read_s >= ASK_EVERY_S

    def _given(self, partition: int) -> int:
        """A partition is ours: claim it, and say where to begin to read. Raises StoreError and KafkaException."""
        members = self._partitions
        if members is None or partition in self._moved:
            raise KafkaError("a partition was taken and given at once")
        claim = self._claimed(partition)
        low, high = members.bounds(partition)
        if claim.progress.next_position > high:
            _log.error(
                "partition %d ends at %d and was read up to %d: Kafka lost a part of it; reading on from its end",
                *(partition, high, claim.progress.next_position),
            )
            claim = replace(claim, progress=Progress(high))
        begin = low
        if claim.progress.next_position:
            hint = members.hint(partition)
            wanted = claim.progress.lowest_open
            begin = max(low, wanted if hint is None else min(hint, wanted))
        lane = self._inlet.new_lane(claim)
        track = Track(lane, begin, keep_s=self._inlet.settings.keep_s, wait_s=self._inlet.wait_s)
        self._tracks[partition] = track
        self._stages.lanes[partition] = lane
        self._stages.counters.inc("mirror_kafka_rebalances_total", kind="given")
        if not track.recovering:
            self._recovered(track)
        self.problem = ""
        _log.info("partition %d is ours; reading from %d", partition, begin)
        return begin

    def _claimed(self, partition: int) -> Claim:
        end_s = time.monotonic() + CLAIM_S
        while True:
            try:
                return self._inlet.claim(partition)
            except StoreError as problem:
                if self._ending.is_set() or time.monotonic() >= end_s:
                    raise
                self.problem = str(problem)
                _log.warning("partition %d cannot be claimed yet: %s", partition, problem)
            self._ending.wait(PAUSE_S)

    def _recovered(self, track: Track) -> None:
        """All that was open before was read again, or is gone."""
        track.recovering = False
        gone = track.lane.abandon()
        if gone:
            self._stages.counters.inc("mirror_kafka_gone_total", gone)
            _log.error("partition %d: Kafka no longer holds %d spans that were not counted", track.lane.partition, gone)

    def _taken(self, partitions: Sequence[int], lost: bool) -> None:  # noqa: FBT001 - a callback
        """Partitions go to another worker: commit what came of them; if that cannot be, forget all that is not committed."""
        self._stages.counters.inc("mirror_kafka_rebalances_total", len(partitions), kind="lost" if lost else "taken")
        owned = [one for one in partitions if one in self._tracks]
        if owned and not self._broken:
            if lost:
                self._broken = "partitions were lost: the group did not hear of this worker for too long"
            else:
                self._stages.guard("commit", lambda: self._stages.flush(within_s=TAKEN_S))
                if not self._inlet.dead_letters.settled(TAKEN_S):
                    self._broken = "the dead-letter topic takes nothing"
                self._lost()
        self._forget(owned)
        self._moved += owned
        if owned:
            _log.info("partitions %s are %s", ", ".join(map(str, owned)), "lost" if lost else "given back to the group")

    def _forget(self, partitions: Sequence[int]) -> None:
        for partition in partitions:
            self._tracks.pop(partition, None)
            self._stages.lanes.pop(partition, None)
            self._lowest_open.pop(partition, None)

    def _done(self, checkpoints: Sequence[Checkpoint]) -> None:
        self._lowest_open |= {one.claim.partition: one.progress.lowest_open for one in checkpoints}

    def _hint(self, members: Partitions) -> None:
        found = {p: self._tracks[p].hint(lowest) for p, lowest in self._lowest_open.items() if p in self._tracks}
        hints = {partition: hint for partition, hint in found.items() if hint is not None}
        if hints:
            members.commit(hints)

    def _figures(self, members: Partitions) -> None:
        put = self._stages.counters.set
        lag = (max(0, members.known_end(p) - track.position) for p, track in self._tracks.items())
        put("mirror_kafka_partitions", len(self._tracks))
        put("mirror_kafka_lag", sum(lag))
