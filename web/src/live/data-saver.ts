// Whether to save data: because the person said so, or because the device does (its own data saver, a slow mobile network, a
// battery that is nearly empty).

const KEY = "spaces.saveData";
/** Share of the battery below which it is nearly empty, and above which it is not any more. */
const EMPTY = 0.15;
const FULL_ENOUGH = 0.25;

interface Network extends EventTarget {
  saveData?: boolean;
  effectiveType?: string;
}
interface Battery extends EventTarget {
  charging: boolean;
  level: number;
}
export interface Device {
  connection?: Network;
  getBattery?: () => Promise<Battery>;
}

/** Whether a battery is nearly empty, given whether it was before. */
export function isLow({ charging, level }: Pick<Battery, "charging" | "level">, was: boolean): boolean {
  return !charging && level <= (was ? FULL_ENOUGH : EMPTY);
}

/** Whether a network says that data is dear. */
export function isThrifty({ saveData, effectiveType }: Pick<Network, "saveData" | "effectiveType">): boolean {
  return saveData === true || effectiveType === "slow-2g" || effectiveType === "2g";
}

export class DataSaver {
  #low = false;
  #ended = new AbortController();

  /** `onChange` is told of every change of `wanted`. */
  constructor(
    readonly store: Pick<Storage, "getItem" | "setItem" | "removeItem">,
    readonly device: Device,
    readonly onChange: (wanted: boolean) => void,
  ) {}

  /** What the person chose. */
  get chosen(): boolean {
    return this.store.getItem(KEY) === "1";
  }
  choose(on: boolean): void {
    try {
      if (on) this.store.setItem(KEY, "1");
      else this.store.removeItem(KEY);
    } catch {
      // private browsing: it is forgotten with the page
    }
    this.#tell(on);
  }
  get wanted(): boolean {
    return this.chosen || this.#hinted;
  }
  get #hinted(): boolean {
    return this.#low || isThrifty(this.device.connection ?? {});
  }

  /** Follows the device from now on. */
  watch(): void {
    this.end();
    this.#ended = new AbortController();
    const { signal } = this.#ended;
    this.device.connection?.addEventListener("change", () => this.#tell(), { signal });
    this.device.getBattery?.().then(
      (battery) => {
        const look = () => {
          this.#low = isLow(battery, this.#low);
          this.#tell();
        };
        if (signal.aborted) return;
        for (const event of ["levelchange", "chargingchange"]) battery.addEventListener(event, look, { signal });
        look();
      },
      () => {}, // not for this page
    );
  }
  end(): void {
    this.#ended.abort();
  }

  #tell(chosen = this.chosen): void {
    this.onChange(chosen || this.#hinted);
  }
}
