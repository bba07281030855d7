"""All that faults add to a repetition: the proxy in front of the server, the timeline, what became of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg

from pgflow_stress.core.arena import Arena
from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.core.result import Json, Phase
from pgflow_stress.engine.audit import snapshot
from pgflow_stress.engine.event_rows import Cut
from pgflow_stress.engine.faults import FAULTS
from pgflow_stress.engine.faults.account import NO_AFTERMATH, Aftermath, aftermath, read_redone, requeued_incidents
from pgflow_stress.engine.faults.base import Blow, Ground
from pgflow_stress.engine.faults.injector import Injector, cuts, incidents, restarted
from pgflow_stress.engine.faults.losses import acknowledged_and_lost, check_losses, lost_incidents
from pgflow_stress.engine.faults.proxy_handle import ProxyHandle
from pgflow_stress.engine.nursery import Nursery
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.target.base import Database, Restart

if TYPE_CHECKING:
    from pgflow_stress.engine.control import Control
    from pgflow_stress.engine.crew import Crew


class Disturbance:
    """Of one repetition; nothing at all where no fault was asked for."""

    def __init__(
        self,
        plan: Plan,
        nursery: Nursery,
        database: Database,
        nonce: int,
        index: int,
        restart: Restart | None,
        server: psycopg.ConnectionInfo,
    ) -> None:
        """Start the proxy, where a fault needs it.

        Raises:
            SetUpFault: a fault needs a server of ours.
        """
        self._strikes = plan.strikes(index)
        self._work, self._nonce = plan.work, nonce
        self._seed = f"{plan.options.seed} {index}"
        self._database = database
        self._restart = restart
        self._proxy: ProxyHandle | None = None
        self.injector: Injector | None = None
        kinds = [FAULTS[spec.name] for spec in plan.options.faults]
        if restart is None and (own := [kind.name for kind in kinds if kind.own_server]):
            raise SetUpFault(f"--fault {own[0]} needs the embedded server: a given one is not ours to be disturbed")
        if any(kind.proxied for kind in kinds):
            self._proxy = ProxyHandle(nursery, database, nonce, server, embedded=restart is not None)

    @property
    def conninfo(self) -> str:
        """How workers reach the database."""
        return self._proxy.conninfo if self._proxy else self._database.for_workers

    def prepare(self, arena: Arena, crew: Crew) -> Injector | None:
        """The timeline, over workers that are ready."""
        if self._strikes:
            proxy = self._proxy.name if self._proxy else ""
            database = self._database
            ground = Ground(arena, crew, database.conninfo, database.slug_prefix, self._seed, self._restart, proxy)
            self.injector = Injector(ground, self._strikes)
        return self.injector

    @property
    def blows(self) -> tuple[Blow, ...]:
        """What became of each strike."""
        return self.injector.blows if self.injector else ()

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """Of the observer's connection."""
        return cuts(self.blows)

    @property
    def restarted(self) -> bool:
        """Whether the server is another one than before the window."""
        return restarted(self.blows)

    def aftermath(self, arena: Arena, crew: Crew, control: Control, process: Phase, origin_ns: int) -> Aftermath:
        """What the result says of them."""
        if not self._strikes:
            return NO_AFTERMATH
        found = aftermath(arena, crew, self.blows, process, origin_ns, self._redone(control))
        lost = acknowledged_and_lost(arena, self._work, self._nonce)
        told = [*incidents(self.blows, origin_ns), *lost_incidents(lost), *requeued_incidents(found.work)]
        losses = check_losses(lost, self.blows) if lost else None
        return replace(found, incidents=tuple(told), losses=losses)

    def _redone(self, control: Control) -> Json:
        try:
            with snapshot(control.connection) as connection:
                return read_redone(connection, self._database.slug_prefix)
        except psycopg.OperationalError:
            return {}

    def close(self) -> None:
        """End the proxy."""
        if self._proxy is not None:
            self._proxy.close()
