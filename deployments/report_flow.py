"""The flow that mails reports; a deployment, as the reports are the app's and flows know no app."""

from __future__ import annotations

from prefect import flow

from deployments.report_mail import send_due
from flows.run import run


@flow(name="mail-reports", flow_run_name="mail reports", persist_result=False)
def mail_reports() -> int:
    """Mail the reports that are due; how many went out.

    Raises:
        CarrelError: some could not be sent; they are tried again later.
    """
    with run():
        return send_due().require_success().sent
