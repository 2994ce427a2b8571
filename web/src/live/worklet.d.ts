// What an AudioWorkletGlobalScope has and TypeScript's DOM library leaves out.

declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(
  name: string,
  // biome-ignore lint/suspicious/noExplicitAny: the options are the node's own
  processor: new (options: any) => AudioWorkletProcessor & { process(...given: never[]): boolean },
): void;
declare const currentFrame: number;
