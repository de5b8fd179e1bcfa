/** Classifies PostgreSQL's failures, and recognises those that people can do something about. */
import { SqlError } from "effect/sql"

/** The disk (or quota) is full. Nothing of the failed statement was kept. */
export const isDiskFull = (error: SqlError.SqlError): boolean =>
  stateOf(error.reason.cause) === "53100" ||
  /database or disk is full|No space left on device/.test(error.message)

/** Turns what postgres.js threw into a typed reason, by SQLSTATE (PostgreSQL manual, appendix A). */
export const postgresError = (cause: unknown, operation: string): SqlError.SqlError => {
  const message = cause instanceof Error ? cause.message : String(cause)
  return new SqlError.SqlError({ reason: reasonOf(cause, { cause, message, operation }) })
}

interface Fields {
  readonly cause: unknown
  readonly message: string
  readonly operation: string
}

const reasonOf = (cause: unknown, fields: Fields): SqlError.SqlErrorReason => {
  const state = stateOf(cause)
  switch (state) {
    case "23505":
      return new SqlError.UniqueViolation({ ...fields, constraint: constraintOf(cause) })
    case "40001":
      return new SqlError.SerializationError(fields)
    case "40P01":
      return new SqlError.DeadlockError(fields)
    case "55P03":
      return new SqlError.LockTimeoutError(fields)
    case "57014":
      return new SqlError.StatementTimeoutError(fields)
    case "42501":
      return new SqlError.AuthorizationError(fields)
  }
  if (state.startsWith("23")) return new SqlError.ConstraintError(fields)
  if (state.startsWith("28")) return new SqlError.AuthenticationError(fields)
  if (state.startsWith("42")) return new SqlError.SqlSyntaxError(fields)
  return CONNECTION.test(state)
    ? new SqlError.ConnectionError(fields)
    : new SqlError.UnknownError(fields)
}

// SQLSTATEs of lost, refused and exhausted connections, then postgres.js's and Node's own codes
const CONNECTION =
  /^(08...|57P0[1-5]|53300|CONNECT_TIMEOUT|CONNECTION_|ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_|ENOENT)/

const stateOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause ? String(cause.code) : ""

const constraintOf = (cause: unknown): string =>
  cause instanceof Error && "constraint_name" in cause ? String(cause.constraint_name) : "unknown"
