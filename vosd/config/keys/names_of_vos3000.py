"""Names in VOS3000's client, manual and Web API for our keys, by section of the file.

A key such as ``routing_plans[].order`` is one of another section, written from the top of the file; so are all keys of
``PARAMETERS``. ``docs/routing.md`` has the same rows, with what differs in the values.
"""

from collections.abc import Mapping
from typing import Final

_NUMBERS: Final = {
    "callee_allow or callee_deny": (
        "calloutCalleePrefixes, calloutCalleePrefixesAllow, "
        "calleeLimitE164Groups, calleeLimitE164GroupsAllow, calleeLimitE164Allow"
    ),
    "callee_rewrite": "rewriteRulesOutCallee",
}
_CUSTOMERS: Final = {
    "enabled": "lockType",
    "gateways_allow or gateways_deny": "routingGatewayGroups, routingGatewayGroupsAllow",
    "loss_guard": "minProfitPercent, minProfitPercentEnable, maxSecondRates, maxSecondRatesEnable",
}

INSTALLATION: Final[Mapping[str, str]] = {
    "accounts": "Account, General account, Clearing account, infoCustomers",
    "calendars": "Work calendar",
    "dynamic_blacklist": "Dynamic black list",
    "mapping_gateways": "Mapping gateway, infoGatewayMappings",
    "number_lists": "Black white list group",
    "number_pools": "Caller number pool",
    "phones": "Phone, infoPhones",
    "rate_groups": "Rate group, infoFeeRateGroups",
    "routing_gateways": "Routing gateway, infoGatewayRoutings",
}
PARAMETERS: Final[Mapping[str, str]] = {
    "dynamic_blacklist.expire_s": "SS_BLACK_LIST_CALLER_MALICIOUS_CALL_EXPIRE",
    "dynamic_blacklist.frequency_limit": "SS_BLACK_LIST_CALLER_MALICIOUS_CALL_LIMIT",
    "dynamic_blacklist.window_s": "SS_BLACK_LIST_CALLER_MALICIOUS_CALL_CHECK_INTERVAL",
    "routing_gateways[].protect": "SS_TRY_PROTECT_ROUTE_DELAY",
    "routing_plans[].order": "SS_GATEWAY_ASR_ROUTE_SORT_CONFIG",
}
ACCOUNT: Final[Mapping[str, str]] = {
    "id": "account, Account ID",
    "type": "Account type",
    "rate_group": "feeRateGroup",
    "overdraft_limit": "limitMoney",
    "enabled": "lockType",
    "expires_at": "validTime",
}
MAPPING_GATEWAY: Final[Mapping[str, str]] = {
    "name": "Gateway name, Gateway ID",
    "hosts": "remoteIps, IP address, Port",
    "hosts or auth": "registerType, Gateway type",
    "auth.username": "Register username",
    "auth.password": "password, Register password",
    "auth.domain": "Domain",
    "rate_group": "Rate table",
    "max_concurrent": "capacity, lineLimit, Max concurrent calls, Number of channels",
    "callee_allow": "Prefix",
    **_CUSTOMERS,
    **_NUMBERS,
    "caller_allow or caller_deny": (
        "calloutCallerPrefixes, calloutCallerPrefixesAllow, callerLimitE164Groups, callerLimitE164GroupsAllow"
    ),
    "caller_rewrite": "rewriteRulesOutCaller",
    "callee_length": "calleeAllowLength",
    "callee_from": "sipCalleeE164Domain",
    "caller_from": "sipCallerE164Domain, Caller ID source",
    "routing_plan": "firstRoutePolicy, secondRoutePolicy",
    "max_call_seconds": "maxCallDurationLower, maxCallDurationUpper",
    "reject_codes": "callFailedSipCode",
    "session_timer.enabled": "sipTimer",
    "reliable_provisionals": "sip100Rel",
    "dynamic_blacklist": "dynamicBlackListInStandalone",
    "ask_number_portability": "lrnEnable",
}
PHONE: Final[Mapping[str, str]] = {
    "number": "e164, Phone number",
    "private_rate_group": "feerateGroup, Private rate group",
    "hosts": "ip",
    "max_concurrent": "lineCallOut",
    **_CUSTOMERS,
    **_NUMBERS,
    "caller_pool": "displayNumber",
    "routing_plan": "firstRoutingPolicy, secondRoutingPolicy",
    "max_call_seconds": "callDurationLimit",
    "offline_gateway": "useRoutingGatewayNotOnline",
    "session_timer.enabled": "sipTimerSupport",
}
ROUTING_GATEWAY: Final[Mapping[str, str]] = {
    "name": "Gateway name, Gateway ID",
    "account": "clearingAccount",
    "accounts[].rate_group": "Vendor rate table",
    "address": "remoteIp, IP address, signalPort, Port",
    "address or dynamic or register": "registerType, Gateway type",
    "register.username": "Register username",
    "register.password or dynamic.password": "password, Register password",
    "register.server": "Register server",
    "interface": "localIp, signalPortLocal",
    "enabled": "lockType",
    "prefixes": "prefix, Gateway prefix",
    "prefixes or denied_prefixes": "callinCalleePrefixes, callinCalleePrefixesAllow",
    "prefix_mode": "prefixStyle",
    "priority": "Priority number",
    "max_concurrent": "capacity, lineLimit, Max concurrent calls, Number of channels",
    "calendar": "Routing period",
    "valid_from": "validFrom",
    "valid_to": "validTo",
    "protect": "Protect route",
    "caller_allow or caller_deny": (
        "callinCallerPrefixes, callinCallerPrefixesAllow, callerLimitE164Groups, callerLimitE164GroupsAllow"
    ),
    "callee_rewrite": "rewriteRulesInCallee",
    "caller_rewrite": "rewriteRulesInCaller",
    "caller_pool": "rewriteRulesInCallerUseE164Group, rewriteRulesInCallerUseE164GroupEnable, Caller number pool",
    "response_timeout": "timeoutInvite",
    "progress_timeout": "timeoutTrying",
    "ring_timeout": "timeoutRinging",
    "stop_after_ringing": "switchAllowRing",
    "stop_after_early_media": "switchAllowSdp, switchAllowRtp",
    "failover_codes": "switchAllowBusy, switchAllowErrorCode",
    "allow_unrated": "feerateRestrict",
    "routing_plans[].order": "leastCostRouting",
    "routing_plans[].loss_guard": "minProfitPercent, minProfitPercentEnable, maxSecondRates, maxSecondRatesEnable",
    "max_call_seconds": "maxCallDurationLower, maxCallDurationUpper",
    "identity": "sipPAssertedIdentity, sipRemotePartyId",
    "privacy": "sipPrivacy",
    "display_name": "sipDisplay",
    "session_timer.enabled": "sipTimer",
    "reliable_provisionals": "sip100Rel",
}
RATE_GROUP: Final[Mapping[str, str]] = {"name": "Rate group name"}
RATE: Final[Mapping[str, str]] = {
    "prefix": "feePrefix",
    "area": "areaName",
    "rate_type": "type",
    "billing_rate": "fee",
    "billing_cycle": "period",
    "sections": "Section rate",
}
CALENDAR: Final[Mapping[str, str]] = {"name": "Calendar name, Calendar ID"}
CALENDAR_ENTRY: Final[Mapping[str, str]] = {
    "working": "Work type",
    "weekdays": "Week days",
    "from": "Start time",
    "to": "End time",
    "date": "Specific date",
    "dates": "Date range",
}
PERIOD_RATES: Final[Mapping[str, str]] = {"name": "Period rate, Package name"}
ROUTING_PLAN: Final[Mapping[str, str]] = {
    "order": "leastCostRouting, firstRoutePolicy, secondRoutePolicy",
    "loss_guard": "minProfitPercent, minProfitPercentEnable, maxSecondRates, maxSecondRatesEnable",
    "gateways": "routingGatewayGroups",
}
