import { useId } from "preact/hooks";
import { t } from "@/i18n";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { explain } from "@/ui/errors";
import { Select, Switch } from "@/ui/field";
import { toast } from "@/ui/toast";
import styles from "./devices-dialog.module.css";
import { useRoom } from "./room-context";

/** Which microphone and loudspeaker, what the browser does to the microphone's sound, and how loud it plays. */
export default function DevicesDialog() {
  const { session, open } = useRoom();
  const audio = session.audio.value;
  const slider = useId();
  if (!audio) return null;
  const mic = audio.microphone.value;
  const volume = audio.volume.value;
  const told = (work: Promise<void>) => work.catch((error) => toast(explain(error), "warn"));
  const named = (devices: readonly MediaDeviceInfo[], fallback: string) =>
    devices.map((device, index) => [device.deviceId, device.label || `${fallback} ${index + 1}`] as const);
  const onStage = session.seat.value !== undefined;
  return (
    <Dialog
      title={t("room.soundSettings")}
      open
      onClose={() => {
        open.value = null;
      }}
    >
      <div class={styles.volume}>
        <label for={slider}>{t("room.volume")}</label>
        <output for={slider}>{Math.round(volume * 100)}%</output>
        <input
          id={slider}
          type="range"
          min={0}
          max={1.5}
          step={0.05}
          value={volume}
          aria-valuetext={`${Math.round(volume * 100)}%`}
          onInput={(event) => audio.setVolume(event.currentTarget.valueAsNumber)}
        />
      </div>
      <Switch
        label={t("live.saveData")}
        hint={t(onStage ? "live.saveDataOnStage" : "live.saveDataHint")}
        checked={audio.saveData.value}
        onChange={(on) => audio.setSaveData(on)}
      />
      {audio.outputs.value.length > 0 && (
        <Select
          label={t("room.loudspeaker")}
          value={audio.output.value}
          options={[["", t("room.systemDefault")], ...named(audio.outputs.value, t("room.loudspeaker"))]}
          onChange={(device) => void told(audio.chooseOutput(device))}
        />
      )}
      {onStage && (
        <>
          {mic.devices.length > 0 && (
            <Select
              label={t("room.microphone")}
              value={mic.device ?? ""}
              options={named(mic.devices, t("room.microphone"))}
              onChange={(device) => void told(audio.chooseMicrophone(device))}
            />
          )}
          {mic.state === "refused" && <p role="alert">{mic.trouble ?? t("room.micRefused")}</p>}
          {mic.state !== "on" && <Button onClick={() => audio.speak(true)}>{t("room.tryMicrophone")}</Button>}
          <Switch
            label={t("room.echoCancellation")}
            hint={t("room.echoHint")}
            checked={mic.processing.echoCancellation}
            onChange={(echoCancellation) => told(audio.setProcessing({ echoCancellation }))}
          />
          <Switch
            label={t("room.noiseSuppression")}
            hint={t("room.noiseHint")}
            checked={mic.processing.noiseSuppression}
            onChange={(noiseSuppression) => told(audio.setProcessing({ noiseSuppression }))}
          />
          <Switch
            label={t("room.autoGain")}
            checked={mic.processing.autoGainControl}
            onChange={(autoGainControl) => told(audio.setProcessing({ autoGainControl }))}
          />
        </>
      )}
    </Dialog>
  );
}
