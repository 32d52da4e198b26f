"""A cloud that needs no account: instances in the memory of a process, and nodes that `fretsaw fake-kubelet` plays.

`cloud` is the truth about instances, `server` gives it an HTTP API on the loopback, `provider` is the CloudProvider
that asks it. The decision which offering is launched is that of `providers.fleet`, as in the simulator.
"""
