/** Loaded before a program by `--import`: its clock goes wrong by SHIFT_MILLIS. */
const shift = Number(process.env.SHIFT_MILLIS)
const RealDate = Date

globalThis.Date = new Proxy(RealDate, {
  apply: () => new RealDate(RealDate.now() + shift).toString(),
  construct: (target, given, made) =>
    given.length === 0
      ? Reflect.construct(target, [RealDate.now() + shift], made)
      : Reflect.construct(target, given, made),
  get: (target, name) => (name === "now" ? () => RealDate.now() + shift : Reflect.get(target, name))
})
