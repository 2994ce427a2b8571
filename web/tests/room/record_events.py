"""Records what `spaces serve --dev` tells three viewers of one Space: `python record_events.py < ready.json`.

For each viewer: the snapshot at the beginning, every event of the stream, and the snapshots at some moments, with how
many events had come by then. The page's fold is tested against it (`fold.test.ts`): snapshot and events must agree.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx

from spaces_ctl.engine import Listener

OUT = Path(__file__).parent / "recorded.json"
VIEWERS = ("host", "sue", "")
SETTLED_S = 1.5


async def main() -> None:
    """Acts a Space out and writes the file."""
    ready = json.load(sys.stdin)
    tokens = {one["handle"]: one["token"] for one in ready["accounts"]} | {"": ""}
    ids = {one["handle"]: one["id"] for one in ready["accounts"]} | {"": None}
    async with AsyncExitStack() as stack:
        clients = {
            handle: await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=f"{ready['url']}/api/v1",
                    headers={"authorization": f"Bearer {token}"} if token else {},
                    timeout=60,
                )
            )
            for handle, token in tokens.items()
        }

        async def ask(handle: str, method: str, path: str, body: Any = None) -> Any:
            answer = await clients[handle].request(method, path, json=body)
            answer.raise_for_status()
            return answer.json() if answer.content else None

        space = (await ask("host", "POST", "/spaces", {"title": "Tea", "record": True, "topics": ["tea"]}))["id"]
        at = f"/spaces/{space}"
        # Seen from the start on: before it a lobby is its host's alone.
        await ask("host", "POST", f"{at}/start")
        recorded: dict[str, dict[str, Any]] = {}
        for viewer in VIEWERS:
            view = await ask(viewer, "GET", at)
            mine: dict[str, Any] = {"me": ids[viewer], "begin": view, "events": [], "moments": []}
            recorded[viewer or "guest"] = mine
            task = asyncio.create_task(_read(clients[viewer], f"{at}/events?after={view['version']}", mine["events"]))
            stack.callback(task.cancel)

        async def moment() -> None:
            await asyncio.sleep(SETTLED_S)
            for viewer in VIEWERS:
                mine = recorded[viewer or "guest"]
                mine["moments"].append({"after": len(mine["events"]), "view": await ask(viewer, "GET", at)})

        for handle in ("cohost", "sam", "sue", "lee", "mo"):
            admission = await ask(handle, "POST", f"{at}/join", {})
            await stack.enter_async_context(
                Listener(
                    admission["urls"][0],
                    token=admission["token"],
                    certificate_sha256=bytes.fromhex(admission["certificate_sha256"]),
                )
            )
        await ask("host", "PUT", f"{at}/settings/mic-access", {"open": True})
        await ask("host", "PATCH", at, {"title": "Tea and bread", "topics": ["tea", "bread"]})
        await ask("sue", "PUT", f"{at}/request")
        await ask("lee", "PUT", f"{at}/request")
        await ask("host", "PUT", f"{at}/invites/{ids['sam']}")
        await moment()
        await ask("sam", "PUT", f"{at}/mic")
        await ask("sam", "POST", f"{at}/mic/unmute")
        await ask("host", "POST", f"{at}/requests/{ids['sue']}/approve")
        await ask("host", "POST", f"{at}/requests/{ids['lee']}/reject")
        await ask("sue", "POST", f"{at}/mic/unmute")
        await ask("sue", "PUT", f"{at}/captions/consent", {"on": True})
        await ask("host", "PUT", f"{at}/cohosts/{ids['cohost']}")
        await ask("cohost", "POST", f"{at}/cohost/accept")
        await ask("cohost", "POST", f"{at}/stage/{ids['sue']}/mute")
        await moment()
        post = await ask("sam", "POST", "/posts", {"text": "The list", "link": "https://example.org/list"})
        await ask("sam", "PUT", f"{at}/posts/{post['id']}")
        await ask("host", "POST", f"{at}/polls", {"question": "Which?", "options": ["Green", "Black"]})
        await ask("sue", "PUT", f"{at}/polls/1/vote", {"option": 1})
        await ask("sam", "POST", f"{at}/reactions", {"emoji": "joy"})
        await ask("host", "POST", f"{at}/stage/mute-all")
        await ask("host", "POST", f"{at}/stage/{ids['sue']}/ask-unmute")
        await ask("sue", "POST", f"{at}/mic/unmute")
        await moment()
        await ask("host", "POST", f"{at}/transfer", {"account": ids["cohost"]})
        await ask("cohost", "PUT", f"{at}/cohosts/{ids['sue']}")
        await ask("sue", "POST", f"{at}/cohost/accept")
        await moment()
        await ask("cohost", "DELETE", f"{at}/cohosts/{ids['sue']}")
        await ask("cohost", "POST", f"{at}/stage/{ids['sam']}/revoke")
        await ask("cohost", "DELETE", f"{at}/posts/{post['id']}")
        await ask("cohost", "POST", f"{at}/polls/1/close")
        await ask("cohost", "POST", f"{at}/people/{ids['mo']}/remove", {"allow_rejoin": False})
        await ask("cohost", "POST", f"{at}/recording/stop")
        await moment()
        await ask("cohost", "POST", f"{at}/end")
        await moment()
    OUT.write_text(json.dumps(recorded, indent=1) + "\n")


async def _read(client: httpx.AsyncClient, path: str, events: list[Any]) -> None:
    async with client.stream("GET", path) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))
                if event["event"] not in ("hello", "heartbeat", "closed"):
                    events.append(event)


if __name__ == "__main__":
    asyncio.run(main())
