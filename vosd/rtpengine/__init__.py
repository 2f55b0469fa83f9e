"""Pool of rtpengines that relay media for the switch, asked by UDP (the protocol "ng", as JSON).

It implements ``MediaEngines`` of ``vosd.media.rtpengine_orders``. It knows neither calls nor SIP.
"""
