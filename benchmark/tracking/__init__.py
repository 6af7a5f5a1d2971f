"""Trackers: systems outside the results folder that are told of trials and results. They decide nothing."""

from benchmark.tracking.base import Tracker
from benchmark.tracking.opening import check_trackers, open_trackers

__all__ = ["Tracker", "check_trackers", "open_trackers"]
