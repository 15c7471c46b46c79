/** What Prisma and knex give in place of a promise: nothing runs before it is awaited, and then each time. */
export function lazyQuery<Result>(run: () => Result | Promise<Result>): PromiseLike<Result> {
  return {
    // biome-ignore lint/suspicious/noThenProperty: being awaited is its purpose
    then: (resolve, reject) => Promise.resolve().then(run).then(resolve, reject),
  }
}
