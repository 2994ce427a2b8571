// The build of hls.js without subtitles, DRM and ads: half the size. It comes without types of its own.
declare module "hls.js/dist/hls.light.mjs" {
  export { default } from "hls.js";
}
