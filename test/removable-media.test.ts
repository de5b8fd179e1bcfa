import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { findMedia, mountPoints } from "../infrastructure/removable-media.ts"
import { freshFolder } from "./support/database.ts"

/** As a laptop with two sticks writes it (proc(5)): the first six columns, options, " - ", the rest. */
const TABLE = String.raw`22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
23 22 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:5 - proc proc rw
24 22 0:22 / /run rw,nosuid,nodev shared:11 - tmpfs tmpfs rw,size=1608680k
91 22 8:17 / /run/media/mia/EXAM\040STICK rw,nosuid,nodev,relatime shared:50 - vfat /dev/sdb1 rw
92 22 8:33 / /media/mia/a\134b\011c rw,nosuid,nodev shared:51 master:7 - exfat /dev/sdc1 rw
93 22 8:49 / /mnt/stick ro,relatime - ext4 /dev/sdd1 ro
94 22 0:40 / /media/memory rw - tmpfs tmpfs rw
95 22 0:41 / /mediathek rw - ext4 /dev/sde1 rw
96 22 0:42 / /mnt rw - ext4 /dev/sdf1 rw
`

describe("what is plugged in", () => {
  it("finds what is mounted where people plug in, with blanks and backslashes in its name", () => {
    assert.deepStrictEqual(mountPoints(TABLE), [
      "/run/media/mia/EXAM STICK",
      "/media/mia/a\\b\tc",
      "/mnt/stick"
    ])
  })

  it("reads names in UTF-8, and survives lines that say nothing", () => {
    const line = "91 22 8:17 / /media/mia/École\\040♫ rw - vfat /dev/sdb1 rw"
    assert.deepStrictEqual(mountPoints(`\n - \ngarbage\n${line}\n`), ["/media/mia/École ♫"])
  })

  it.effect("offers folders from the settings once, and leaves out what is not there", () =>
    Effect.gen(function* () {
      const root = yield* freshFolder()
      const stick = path.join(root, "STICK 1")
      fs.mkdirSync(stick)
      fs.writeFileSync(path.join(root, "file"), "")
      const asked = [stick, path.join(root, "gone"), path.join(root, "file"), stick]
      const media = yield* Effect.promise(() => findMedia(asked, path.join(root, "no table")))
      assert.deepStrictEqual(
        media.map(({ name, path: place, writable }) => [place, name, writable]),
        [[stick, "STICK 1", true]]
      )
      assert.isAbove(media[0]?.free ?? 0, 0)
      assert.isAtLeast(media[0]?.total ?? 0, media[0]?.free ?? 0)
    })
  )

  it.effect("shows at most sixteen", () =>
    Effect.gen(function* () {
      const root = yield* freshFolder()
      const all = Array.from({ length: 20 }, (_, n) => path.join(root, `${n}`))
      for (const each of all) fs.mkdirSync(each)
      const media = yield* Effect.promise(() => findMedia(all, path.join(root, "no table")))
      assert.deepStrictEqual(
        media.map((one) => one.path),
        all.slice(0, 16)
      )
    })
  )
})
