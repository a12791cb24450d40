"""The embedded AWS as a whole: both ports, the functions, and an orderly end."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from scripts.local_aws.errors import LocalAwsError
from scripts.local_aws.http_server import Handler, Server
from scripts.local_aws.settings import ACCOUNT_ID, Settings

if TYPE_CHECKING:
    from scripts.local_aws.guardian import Guardian
    from scripts.local_aws.invocation import Invoker


def _listen(port: int, option: str) -> Server:
    return Server(port, Handler, option)


class LocalAws:
    """`start`, then `stop`. Binds its ports at once, so that a taken one is the first thing known."""

    def __init__(self, settings: Settings) -> None:
        # One account, whoever calls; read by moto at each request.
        os.environ["MOTO_ACCOUNT_ID"] = ACCOUNT_ID
        os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
        self._aws = _listen(settings.port, "--port or LOCAL_AWS_PORT")
        try:
            self._api = _listen(settings.api_port, "--api-port or LOCAL_AWS_API_PORT")
        except LocalAwsError:
            self._aws.server_close()
            raise
        self.port, self.api_port = self._aws.server_port, self._api.server_port
        # Port 0 means any free one: the functions must be told the real one.
        self.settings = Settings(**{**vars(settings), "port": self.port, "api_port": self.api_port})
        self._guardian: Guardian | None = None
        self._invoker: Invoker | None = None

    def start(self) -> None:
        from scripts.local_aws import (
            metrics,
            moto_apigatewayv2,
            moto_autoscaling,
            moto_backup,
            moto_billing,
            moto_cognito,
            moto_dynamodb,
            moto_iam,
            moto_kms,
            moto_lambda,
            moto_patch,
        )
        from scripts.local_aws.access import Access
        from scripts.local_aws.aws_api import make_handler, moto_application
        from scripts.local_aws.guardian import Guardian
        from scripts.local_aws.http_api import HttpApis, make_api_handler
        from scripts.local_aws.invocation import Invoker
        from scripts.local_aws.local_endpoints import LocalEndpoints
        from scripts.local_aws.roles import Roles
        from scripts.local_aws.token_issuers import Issuers

        self._guardian = Guardian()
        roles = Roles()
        self._invoker = Invoker(self.settings, roles, self._guardian)
        moto_patch.remember_lookups()
        moto_lambda.install(self._invoker)
        moto_dynamodb.install(roles, self.settings.index_backfill_seconds, self.settings.restore_seconds)
        metrics.install()
        moto_autoscaling.install()
        moto_backup.install()
        moto_billing.install()
        moto_cognito.install(self._invoker)
        moto_iam.install()
        moto_kms.install()
        local = LocalEndpoints(self.settings, (self.port, self.api_port), self._invoker.fleet, roles)
        self._aws.RequestHandlerClass = make_handler(moto_application(), self._invoker, local, Access(roles))
        issuers = Issuers(self.settings.endpoint_url)
        moto_apigatewayv2.install(issuers)
        self._api.RequestHandlerClass = make_api_handler(HttpApis(self._invoker, roles, issuers))
        for server in (self._aws, self._api):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def stop(self) -> None:
        if self._invoker is not None:
            self._invoker.close()
        for server in (self._aws, self._api):
            if self._invoker is not None:
                server.shutdown()
            server.server_close()
        if self._guardian is not None:
            self._guardian.close()
