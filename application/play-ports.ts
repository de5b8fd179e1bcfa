/**
 * Names what playing a test asks of a QTI library: to run what a package itself says about answers.
 * Values are QTI strings, as variables have them (`domain/variable.ts`).
 */
import { Context, type Effect, Schema } from "effect"
import type { Content } from "../domain/entity.ts"
import type { PackageRefused } from "../domain/package-refusal.ts"
import type { NumberedPlan } from "../domain/test-plan.ts"
import type { Variable } from "../domain/variable.ts"
import type { Unopenable } from "./ports.ts"
import type { OpenFiles } from "./session-ports.ts"

/** A variable as processing sees it: who declared it and when it was written are not its concern. */
export type Known = Pick<Variable, "identifier" | "cardinality" | "baseType" | "values">

/** The item or expression could not be processed: the answers stay, and wait for a person. */
export class Unprocessed extends Schema.TaggedError<Unprocessed>()("Unprocessed", {
  why: Schema.String
}) {}

/** Runs response processing and test expressions, away from the process that answers people. */
export class Scorer extends Context.Service<
  Scorer,
  {
    /**
     * Scores one attempt at an item. `xml` is the whole item in QTI 3.0, with its answer keys;
     * `outcomes` are those of the attempt before, for items that add up. Answers all outcomes.
     */
    readonly score: (attempt: {
      readonly xml: string
      readonly responses: ReadonlyArray<Known>
      readonly outcomes: ReadonlyArray<Known>
      /** What `prepare` drew for this test-taker. */
      readonly templates?: ReadonlyArray<Known>
    }) => Effect.Effect<ReadonlyArray<Known>, Unprocessed>
    /** Draws the template values of an item once; an item without template processing has none. */
    readonly prepare: (item: {
      readonly xml: string
    }) => Effect.Effect<ReadonlyArray<Known>, Unprocessed>
    /**
     * Evaluates expressions of a test in QTI 3.0 (a `qti-pre-condition`'s or `qti-branch-rule`'s
     * content), in the order given. Variables of items are named `REF.IDENTIFIER`.
     */
    readonly decide: (asked: {
      readonly expressions: ReadonlyArray<string>
      readonly variables: ReadonlyArray<Known>
    }) => Effect.Effect<ReadonlyArray<boolean>, Unprocessed>
    /** Runs a test's outcome processing over the outcomes of its items. */
    readonly conclude: (asked: {
      readonly xml: string
      readonly variables: ReadonlyArray<Known>
    }) => Effect.Effect<ReadonlyArray<Known>, Unprocessed>
  }
>()("testferry/Scorer") {}

/** Makes the XML of an item fit for a page: nothing in it tells an answer or leads elsewhere. */
export class ItemForPage extends Context.Service<
  ItemForPage,
  {
    /**
     * `path`: of the item in its package, which its references are relative to. `contentUrl`: where
     * the page finds a file of the package. `templates`: values that were drawn once.
     */
    readonly prepare: (
      xml: string,
      path: string,
      contentUrl: (path: string) => string,
      templates: ReadonlyArray<Known>
    ) => string
    /** Whether there are as many answers as an item wants, where it says so. */
    readonly accepts: (xml: string, responses: ReadonlyArray<Known>) => boolean
    /** Makes of what a test says above its items an item that asks nothing. */
    readonly rubric: (xml: string, path: string, contentUrl: (path: string) => string) => string
  }
>()("testferry/ItemForPage") {}

/** Reads what packages say about tests. */
export class TestReader extends Context.Service<
  TestReader,
  {
    /** The plan of a package; its files are opened only if it was not read lately. */
    readonly plan: <E, R>(
      content: Content,
      files: Effect.Effect<OpenFiles, E, R>
    ) => Effect.Effect<NumberedPlan, E | PackageRefused | Unopenable, R>
    /** The text of a document, whatever its encoding. */
    readonly text: (
      files: OpenFiles,
      path: string
    ) => Effect.Effect<string, PackageRefused | Unopenable>
  }
>()("testferry/TestReader") {}
