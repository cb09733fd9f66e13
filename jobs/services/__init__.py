"""Asking outside services: politely, patiently up to a limit, and plainly about what went wrong.

Everything that leaves this machine goes through a `Service`: a polite rate, one circuit breaker
and quota a service, retries with exponential back-off and jitter, Retry-After, a limit of time and
bytes, and whole bodies only. One process makes each service once (`Services`).

    services = Services({"sdss": Terms("sdss", "https://skyserver.sdss.org", per_second=1)})
    service = services["sdss"]

    answer = service.get(f"{service.terms.base}/dr19/...", {"ra": 10.68}, whole="jpeg")

    tap = pyvo.dal.TAPService(service.terms.base, session=service.session())
    table = service.call(lambda: tap.run_sync("SELECT ..."))   # errors become ServiceError

    service.mount(SkyViewClass()._session)                      # a library's own session
    service.health()                                            # breaker, last success, quota

A `PassingFailure` (down, late, busy, resting, quota spent, cut short) may be over later; any other
`ServiceError` is for good. In tests give a `Clock` whose `sleep` only moves its own hands.
"""

from jobs.services.clock import Clock
from jobs.services.failures import PassingFailure, QuotaSpent, ServiceResting
from jobs.services.service import Answer, Health, Ledger, Service, Services
from jobs.services.terms import DAY_S, HOUR_S, Quota, Terms
from jobs.services.whole import check_whole

__all__ = [
    "DAY_S",
    "HOUR_S",
    "Answer",
    "Clock",
    "Health",
    "Ledger",
    "PassingFailure",
    "Quota",
    "QuotaSpent",
    "Service",
    "ServiceResting",
    "Services",
    "Terms",
    "check_whole",
]
