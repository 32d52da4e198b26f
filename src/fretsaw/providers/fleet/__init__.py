"""What a claim's launch comes to: which offerings the provider asks EC2 for, and which of them EC2 gives.

    market = Market(catalog)
    asked = request(market, market.wants(claim), market.down(avoided), left)   # choose: the provider's side
    answer = fill(market, asked, supply, random)                               # fill: EC2's side

Pure decisions, shared by the virtual EC2 of `sim.cloud` and the fake cloud of `providers.fake`.
"""
