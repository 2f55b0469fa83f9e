"""A telephone of PJSIP (pjsua2) as a program: orders as lines of JSON in, events as lines of JSON out.

A process of its own, because the library is native code with one endpoint a process. Its sound device is PJSIP's null
device; it plays a file into every call, and measures what it hears.
"""

import json
import select
import sys
from typing import Any, Final

import pjsua2 as pj

STEP_MS: Final = 20
T38: Final = (
    "m=image {port} udptl t38\r\nc=IN IP4 {host}\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n"
    "a=T38FaxRateManagement:transferredTCF\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n"
)
"""The offer of a fax, which PJSIP itself does not know."""


def tell(event: str, **facts: Any) -> None:
    """Write an event."""
    print(json.dumps({"event": event, **facts}), flush=True)


class Call(pj.Call):
    """One call."""

    def __init__(self, phone: "Phone", call_id: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(phone, call_id)
        self.phone = phone
        self.audio: pj.AudioMedia | None = None
        self.fax = ""
        """Media of the next offer, in the place of PJSIP's."""

    def onCallState(self, _prm: pj.OnCallStateParam) -> None:
        """Tell the state: CALLING, INCOMING, EARLY, CONNECTING, CONFIRMED, DISCONNCTD."""
        info = self.getInfo()
        tell("state", call=self.getId(), state=info.stateText, code=int(info.lastStatusCode))
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self.phone.calls.pop(self.getId(), None)

    def onCallMediaState(self, _prm: pj.OnCallMediaStateParam) -> None:
        """Connect the file with the call, and tell whether a side holds."""
        info = self.getInfo()  # the media are a part of it, and gone with it
        for index, media in enumerate(info.media):
            if media.type != pj.PJMEDIA_TYPE_AUDIO:
                continue
            status = {
                pj.PJSUA_CALL_MEDIA_ACTIVE: "active",
                pj.PJSUA_CALL_MEDIA_LOCAL_HOLD: "holds",
                pj.PJSUA_CALL_MEDIA_REMOTE_HOLD: "held",
            }.get(media.status, "none")
            if status in {"active", "held", "holds"}:
                self.audio = self.getAudioMedia(index)
                self.phone.player.startTransmit(self.audio)
                self.audio.startTransmit(self.phone.recorder)
            tell("media", call=self.getId(), status=status)

    def onDtmfDigit(self, prm: pj.OnDtmfDigitParam) -> None:
        """Tell a key."""
        tell("key", call=self.getId(), key=prm.digit, method=int(prm.method))

    def onCallTransferStatus(self, prm: pj.OnCallTransferStatusParam) -> None:
        """Tell how a transfer goes on."""
        tell("transfer", call=self.getId(), code=int(prm.statusCode), is_final=bool(prm.finalNotify))

    def onCallSdpCreated(self, prm: pj.OnCallSdpCreatedParam) -> None:
        """Offer a fax where the next offer is one."""
        if self.fax:
            prm.sdp.wholeSdp = prm.sdp.wholeSdp.partition("m=")[0] + self.fax
            self.fax = ""

    def onCallTsxState(self, prm: pj.OnCallTsxStateParam) -> None:
        """Tell the final status of a request of ours within the call."""
        transaction = prm.e.body.tsxState.tsx
        if transaction.role == pj.PJSIP_ROLE_UAC and transaction.state == pj.PJSIP_TSX_STATE_COMPLETED:
            tell("answer", call=self.getId(), method=transaction.method, code=int(transaction.statusCode))


class Phone(pj.Account):
    """The account of the telephone."""

    def __init__(self, player: pj.AudioMediaPlayer, recorder: pj.AudioMediaRecorder) -> None:
        super().__init__()
        self.player, self.recorder = player, recorder
        self.calls: dict[int, Call] = {}

    def onRegState(self, prm: pj.OnRegStateParam) -> None:
        """Tell how a registration ended."""
        tell("registration", code=int(prm.code), expires=int(prm.expiration))

    def onIncomingCall(self, prm: pj.OnIncomingCallParam) -> None:
        """Ring."""
        call = Call(self, prm.callId)
        self.calls[call.getId()] = call
        ringing = pj.CallOpParam()
        ringing.statusCode = pj.PJSIP_SC_RINGING
        call.answer(ringing)
        tell("incoming", call=call.getId(), remote=call.getInfo().remoteUri)

    # -- orders -------------------------------------------------------------------------------------------------

    def take(self, order: dict[str, Any]) -> bool:
        """Do what is asked; return False at the end."""
        prm = pj.CallOpParam(True)
        match order.pop("do"):
            case "call":
                call = Call(self)
                call.makeCall(order["uri"], prm)
                self.calls[call.getId()] = call
            case "answer":
                prm.statusCode = order["code"]
                self.calls[order["call"]].answer(prm)
            case "hangup":
                self.calls[order["call"]].hangup(pj.CallOpParam())
            case "hold":
                self.calls[order["call"]].setHold(pj.CallOpParam(True))
            case "resume":
                prm.opt.flag = pj.PJSUA_CALL_UNHOLD
                self.calls[order["call"]].reinvite(prm)
            case "update":
                self.calls[order["call"]].update(prm)
            case "fax":
                call = self.calls[order["call"]]
                call.fax = T38.format(port=order["port"], host=order["host"])
                call.reinvite(prm)
            case "transfer":
                self.calls[order["call"]].xfer(order["uri"], pj.CallOpParam(True))
            case "replace":
                self.calls[order["call"]].xferReplaces(self.calls[order["other"]], pj.CallOpParam(True))
            case "press":
                key = pj.CallSendDtmfParam()
                key.digits, key.method = order["keys"], order["method"]
                self.calls[order["call"]].sendDtmf(key)
            case "unregister":
                self.setRegistration(False)
            case "heard":
                call = self.calls[order["call"]]
                level = 0 if call.audio is None else int(call.audio.getTxLevel())
                tell("level", call=call.getId(), level=level, packets=int(call.getStreamStat(0).rtcp.rxStat.pkt))
            case "end":
                return False
        return True


def account_of(settings: dict[str, Any]) -> pj.AccountConfig:
    """Return the account: a registered one where there is a password."""
    config = pj.AccountConfig()
    number, host = settings["number"], settings["host"]
    config.idUri = f"sip:{number}@{settings.get('registrar', host)}"
    if settings.get("password"):
        suffix = f";transport={settings['transport']}"
        config.regConfig.registrarUri = f"sip:{settings['registrar']}{suffix}"
        config.sipConfig.proxies.append(f"sip:{settings['registrar']}{suffix};lr")
        config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", number, 0, settings["password"]))
    config.callConfig.timerUse = pj.PJSUA_SIP_TIMER_ALWAYS
    config.callConfig.timerMinSESec = 90
    config.callConfig.timerSessExpiresSec = 1_800
    config.callConfig.prackUse = settings["prack"]
    config.mediaConfig.transportConfig.port = settings["rtp_port"]
    config.mediaConfig.transportConfig.portRange = 20
    config.mediaConfig.transportConfig.boundAddress = host
    config.mediaConfig.transportConfig.publicAddress = host
    return config


def main() -> None:
    """Run a telephone with the settings of the first argument until its orders end."""
    settings = json.loads(sys.argv[1])
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.uaConfig.userAgent = "PJSIP"
    config.logConfig.level = 5
    config.logConfig.consoleLevel = 0
    config.logConfig.filename = "pjsip.log"
    config.medConfig.noVad = True
    endpoint.libInit(config)
    transport = pj.TransportConfig()
    transport.port, transport.boundAddress = settings["port"], settings["host"]
    kinds = {"udp": pj.PJSIP_TRANSPORT_UDP, "tcp": pj.PJSIP_TRANSPORT_TCP}
    endpoint.transportCreate(kinds[settings["transport"]], transport)
    endpoint.libStart()
    endpoint.audDevManager().setNullDev()
    player, recorder = pj.AudioMediaPlayer(), pj.AudioMediaRecorder()
    player.createPlayer(settings["sound"])
    recorder.createRecorder("heard.wav")
    phone = Phone(player, recorder)
    phone.create(account_of(settings))
    tell("up", version=endpoint.libVersion().full)
    is_on = True
    while is_on:
        endpoint.libHandleEvents(STEP_MS)
        while is_on and select.select([sys.stdin], [], [], 0)[0]:
            line = sys.stdin.readline()
            is_on = bool(line)
            if line.strip():
                try:
                    is_on = phone.take(json.loads(line))
                except pj.Error as error:
                    tell("error", why=error.info())
    endpoint.hangupAllCalls()
    phone.calls.clear()
    phone.shutdown()
    del player, recorder, phone
    endpoint.libDestroy(pj.PJSUA_DESTROY_NO_TX_MSG)


if __name__ == "__main__":
    main()
