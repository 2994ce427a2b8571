import { useSignal } from "@preact/signals";
import { MicOff, Pencil, Power, UserPlus } from "lucide";
import { api, ok, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { limits } from "@/state/limits";
import type { SpaceState } from "@/state/space";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { explain } from "@/ui/errors";
import { Field, Select, Switch } from "@/ui/field";
import { toast } from "@/ui/toast";
import { useRoom } from "../room-context";
import styles from "./host.module.css";
import { RemovedPeople } from "./removed-people";

type Speak = Schema<"Speak">;

/** Everything that hosts set about the whole Space while it is live. */
export default function HostDialog() {
  const { session, open } = useRoom();
  const state = session.state.value;
  if (!state) return null;
  const host = state.you.role === "host";
  const params = { path: { space: state.id } };
  /** Shown at once, taken back if it was refused. */
  const set = async (change: Partial<SpaceState>, work: () => Promise<unknown>) => {
    const undo = session.feed.suppose(change);
    try {
      await work();
    } catch (error) {
      undo();
      toast(explain(error), "warn");
    }
  };
  return (
    <Dialog
      title={t("room.hostTools")}
      sheet
      open
      onClose={() => {
        open.value = null;
      }}
    >
      <section class={styles.section}>
        <Switch
          label={t("room.micAccess")}
          hint={t("room.micAccessHint")}
          checked={state.mic_open}
          onChange={(on) =>
            set({ mic_open: on }, () =>
              ok(api.PUT("/api/v1/spaces/{space}/settings/mic-access", { params, body: { open: on } })),
            )
          }
        />
        <Button
          icon={MicOff}
          onClick={async () => {
            await ok(api.POST("/api/v1/spaces/{space}/stage/mute-all", { params }));
            toast(t("room.allMuted"));
          }}
        >
          {t("room.muteAll")}
        </Button>
        <Button
          icon={UserPlus}
          onClick={() => {
            open.value = { kind: "invite" };
          }}
        >
          {t("room.invitePeople")}
        </Button>
      </section>
      {host && (
        <section class={styles.section}>
          <h3>{t("room.whoMaySpeak")}</h3>
          <Select<Speak>
            label={t("room.speakLabel")}
            hint={t("room.speakHint")}
            value={state.speak as Speak}
            options={[
              ["everyone", t("room.speak_everyone")],
              ["followed", t("room.speak_followed")],
              ["invited", t("room.speak_invited")],
            ]}
            onChange={(speak) =>
              void set({ speak }, () =>
                ok(api.PUT("/api/v1/spaces/{space}/settings/speak", { params, body: { speak } })),
              )
            }
          />
          <Switch
            label={t("room.requestsOpen")}
            hint={t("room.requestsHint")}
            checked={state.requests_open}
            onChange={(on) =>
              set({ requests_open: on }, () =>
                ok(api.PUT("/api/v1/spaces/{space}/settings/requests", { params, body: { open: on } })),
              )
            }
          />
          <Switch
            label={t("room.clipsSwitch")}
            hint={t("room.clipsHint")}
            checked={state.clips}
            onChange={(on) =>
              set({ clips: on }, () => ok(api.PUT("/api/v1/spaces/{space}/settings/clips", { params, body: { on } })))
            }
          />
          <Switch
            label={t("room.captionsSwitch")}
            hint={t("room.captionsSwitchHint")}
            checked={state.captions}
            onChange={(on) =>
              set({ captions: on }, () =>
                ok(api.PUT("/api/v1/spaces/{space}/settings/captions", { params, body: { on } })),
              )
            }
          />
          {state.recording && <StopRecording space={state.id} />}
        </section>
      )}
      {host && <EditTitle />}
      <RemovedPeople />
      {host && (
        <Button
          kind="danger"
          icon={Power}
          onClick={() => {
            open.value = { kind: "leave" };
          }}
        >
          {t("room.endSpace")}
        </Button>
      )}
    </Dialog>
  );
}

function StopRecording({ space }: { space: string }) {
  const sure = useSignal(false);
  if (!sure.value) {
    return (
      <Button
        onClick={() => {
          sure.value = true;
        }}
      >
        {t("room.stopRecording")}
      </Button>
    );
  }
  return (
    <div class={styles.confirm} role="alert">
      <p>{t("room.stopRecordingText")}</p>
      <Button
        onClick={() => {
          sure.value = false;
        }}
      >
        {t("common.cancel")}
      </Button>
      <Button
        kind="danger"
        onClick={() => ok(api.POST("/api/v1/spaces/{space}/recording/stop", { params: { path: { space } } }))}
      >
        {t("room.stopRecording")}
      </Button>
    </div>
  );
}

function EditTitle() {
  const { session } = useRoom();
  const state = session.state.value;
  const title = useSignal(state?.title ?? "");
  const topics = useSignal(state?.topics.join(", ") ?? "");
  const trouble = useSignal<string | null>(null);
  if (!state) return null;
  const save = async () => {
    trouble.value = null;
    const words = topics.value
      .split(",")
      .map((topic) => topic.trim())
      .filter(Boolean);
    try {
      await ok(
        api.PATCH("/api/v1/spaces/{space}", {
          params: { path: { space: state.id } },
          // What is null stays as it is.
          body: { title: title.value.trim(), topics: words, description: null, scheduled_start: null },
        }),
      );
      toast(t("room.saved"));
    } catch (error) {
      trouble.value = explain(error);
    }
  };
  return (
    <form
      class={styles.section}
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <h3>{t("room.about")}</h3>
      <Field
        label={t("room.title")}
        value={title.value}
        maxLength={limits.value?.max_title}
        error={trouble.value}
        onValue={(value) => {
          title.value = value;
        }}
      />
      <Field
        label={t("room.topics")}
        hint={t("room.topicsHint")}
        value={topics.value}
        onValue={(value) => {
          topics.value = value;
        }}
      />
      <Button type="submit" icon={Pencil} onClick={() => {}}>
        {t("common.save")}
      </Button>
    </form>
  );
}
