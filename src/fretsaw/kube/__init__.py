"""A client of the Kubernetes API: typed objects in and out over aiohttp, made for watching many and writing few.

    async with Client.connect(load_access()) as client:
        pods = await client.list("Pod")
        async for change in Reflector(client, "Pod").changes(): ...

`access` finds the server and who we are, `http` sends requests, `client` knows verbs and kinds, `reflector` keeps up
with a kind. Errors are those of `kube.errors`; nothing of aiohttp leaves this package.
"""
