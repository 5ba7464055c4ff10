"""Sign-in: a Cognito user pool with three groups.

A person is identified by the pool's `sub`, which Cognito assigns and which cannot change. They sign in with,
and are shown as, their e-mail address.
"""

from aws_cdk import Duration
from aws_cdk import aws_cognito as cognito
from constructs import Construct

from infra.stage import Stage
from infra.suppressions import suppress_finding

GROUPS = {
    "admin": "Everything, agents too",
    "operator": "Transfers, browsing and templates",
    "viewer": "Looks at everything, changes nothing",
}

_INVITATION = (
    "<p>Crosshaul<br>Console / Konsole: {console}<br>User / Benutzer: {username}<br>"
    "Password / Passwort: {####}</p>"
    "<p>You have been invited to Crosshaul. Open the console, sign in with this password within three days, "
    "and choose your own.</p>"
    "<p>Sie wurden zu Crosshaul eingeladen. Öffnen Sie die Konsole, melden Sie sich innerhalb von drei Tagen "
    "mit diesem Passwort an, und wählen Sie ein eigenes.</p>"
)
_CODE = (
    "<p>Code: {####}</p>"
    "<p>If you did not request this code, another person has entered your address. Do nothing, and do not "
    "pass the code on.</p>"
    "<p>Falls Sie diesen Code nicht angefordert haben, hat eine andere Person Ihre Adresse eingegeben. Tun "
    "Sie nichts, und geben Sie den Code nicht weiter.</p>"
)
"""E-mails in both languages, since Cognito has one text for all. It puts name, password and code into the
braces, each once."""
_CONSOLE = "the address that your administrator gives you / die Adresse vom Administrator"
"""Where the console has no domain of its own: the user pool is created before the console has an address."""


def _console_address(stage: Stage) -> str:
    domain = stage.settings.console_domain
    return f"https://{domain.name}" if domain else _CONSOLE


class UserPool(Construct):
    """The user pool, its groups and the one client that console and command line share."""

    def __init__(self, scope: Construct, name: str, stage: Stage) -> None:
        super().__init__(scope, name)
        self.pool = cognito.UserPool(
            self,
            "People",
            self_sign_up_enabled=False,
            sign_in_aliases=cognito.SignInAliases(email=True),
            sign_in_case_sensitive=False,  # Cognito never lets a pool change this
            auto_verify=cognito.AutoVerifiedAttrs(email=True),
            keep_original=cognito.KeepOriginalAttrs(email=True),
            account_recovery=cognito.AccountRecovery.EMAIL_ONLY,
            mfa=cognito.Mfa.REQUIRED if stage.settings.second_factor == "required" else cognito.Mfa.OPTIONAL,
            mfa_second_factor=cognito.MfaSecondFactor(sms=False, otp=True),
            user_invitation=cognito.UserInvitationConfig(
                email_subject=f"Your account for Crosshaul {stage.name}",
                email_body=_INVITATION.replace("{console}", _console_address(stage)),
            ),
            user_verification=cognito.UserVerificationConfig(
                email_subject=f"Your code for Crosshaul {stage.name}", email_body=_CODE
            ),
            password_policy=cognito.PasswordPolicy(
                min_length=14,
                require_digits=True,
                require_lowercase=True,
                require_uppercase=True,
                require_symbols=True,
                temp_password_validity=Duration.days(3),
            ),
            deletion_protection=stage.protected,
            removal_policy=stage.removal,
        )
        for group, description in GROUPS.items():
            cognito.CfnUserPoolGroup(
                self,
                group.title(),
                user_pool_id=self.pool.user_pool_id,
                group_name=group,
                description=description,
            )
        if stage.settings.second_factor == "optional":
            suppress_finding(
                self.pool,
                'Whoever sets a second factor up is asked for it; secondFactor = "required" asks everybody',
                "COG2",
            )
        suppress_finding(
            self.pool,
            "Threat protection is a plan that is paid for by the person: the company's choice",
            "COG8",
        )
        self.client = self.pool.add_client(
            "Client",
            auth_flows=cognito.AuthFlow(user_srp=True),
            disable_o_auth=True,
            generate_secret=False,
            prevent_user_existence_errors=True,
            id_token_validity=Duration.hours(1),
            access_token_validity=Duration.hours(1),
            refresh_token_validity=Duration.days(7),
            auth_session_validity=Duration.minutes(15),  # an authenticator app may have to be installed first
            enable_token_revocation=True,
            read_attributes=cognito.ClientAttributes().with_standard_attributes(
                email=True, email_verified=True
            ),
            # Unused; but an empty list would mean all attributes, including the e-mail address.
            write_attributes=cognito.ClientAttributes().with_standard_attributes(locale=True),
        )
