"""`report.html`: one file that shows everything about an experiment, without a network."""

from benchmark.reports.html.page import PAGE, write_page

__all__ = ["PAGE", "write_page"]
