/** Says how long to wait after wrong passwords: 1 s, 2 s, 4 s … up to five minutes (format §3.5). */

export const WAIT_MAX_MILLIS = 300_000

export const waitAfter = (failures: number): number =>
  failures <= 0 ? 0 : Math.min(WAIT_MAX_MILLIS, 1_000 * 2 ** Math.min(failures - 1, 20))
