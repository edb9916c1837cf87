"""A client's life with matrix-nio against one homeserver, by password and by token.

    nio_session.py URL USER PASSWORD

Prints one line for each thing that went as it should, and stops with the answer that did not.
"""

import asyncio
import json
import sys
import urllib.error
import urllib.request

from nio import AsyncClient, LoginResponse, LogoutResponse, SyncResponse, WhoamiResponse


def expect(answer, kind):
    """Hands the answer on if it is what was hoped for; else ends the program with it."""
    if not isinstance(answer, kind):
        sys.exit(f"wanted {kind.__name__}, got {answer}")
    return answer


def post(url, token, body):
    """Plain HTTP, for what matrix-nio has no call for. Gives the status and the JSON."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    # Loopback needs no proxy, whatever the environment says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)


def login_token(url, user_id, password, access_token):
    """A token for `m.login.token`, for which the server asks the user's password once more."""
    target = f"{url}/_matrix/client/v1/login/get_token"
    status, challenge = post(target, access_token, {})
    if status != 401 or ["m.login.password"] not in [f["stages"] for f in challenge["flows"]]:
        sys.exit(f"wanted interactive auth by password, got {status} {challenge}")
    auth = {
        "type": "m.login.password",
        "session": challenge["session"],
        "identifier": {"type": "m.id.user", "user": user_id},
        "password": password,
    }
    status, answer = post(target, access_token, {"auth": auth})
    if status != 200:
        sys.exit(f"wanted a login token, got {status} {answer}")
    return answer["login_token"]


async def use_session(client, login):
    """Asks who it is and syncs, with the session that `login` gave."""
    who = expect(await client.whoami(), WhoamiResponse)
    if (who.user_id, who.device_id) != (login.user_id, login.device_id):
        sys.exit(f"whoami says {who}, login said {login}")
    sync = expect(await client.sync(timeout=0), SyncResponse)
    if not sync.next_batch or sync.rooms.join or sync.rooms.invite:
        sys.exit(f"wanted an empty state, got {sync}")


async def end_session(client):
    """Logs out, and sees that the token no longer works."""
    token = client.access_token
    expect(await client.logout(), LogoutResponse)
    client.access_token = token
    answer = await client.whoami()
    if isinstance(answer, WhoamiResponse) or answer.status_code != "M_UNKNOWN_TOKEN":
        sys.exit(f"the token outlives its logout: {answer}")


async def main(url, user, password):
    first, second = AsyncClient(url, user), AsyncClient(url, user)
    try:
        login = expect(await first.login(password, device_name="nio"), LoginResponse)
        print(f"password: {login.user_id} {login.device_id}")
        await use_session(first, login)
        token = login_token(url, login.user_id, password, first.access_token)
        other = expect(await second.login(token=token), LoginResponse)
        print(f"token: {other.user_id} {other.device_id}")
        if other.user_id != login.user_id or other.device_id == login.device_id:
            sys.exit(f"the second session is not another one of the same user: {other}")
        await use_session(second, other)
        await end_session(first)
        await use_session(second, other)
        print("logout: the other session lives on")
        await end_session(second)
        print("logout: both tokens are dead")
    finally:
        await first.close()
        await second.close()


asyncio.run(main(*sys.argv[1:4]))
