import { expect, it } from 'vitest'
import { shell } from '../setup/command.ts'

const DISHES = ['soup', 'risotto', 'salad', 'ravioli', 'trout', 'cake']

it('the restaurant serves each dish once, also the one over which Ben dies', async () => {
  const restaurant = shell('npm run --silent restaurant')
  expect(await restaurant.exit, restaurant.stderr).toBe(0)
  const said = (pattern: RegExp) => [...restaurant.stdout.matchAll(pattern)].map(([, ...groups]) => groups)
  const served = said(/^waiter +table (\d) gets (\w+), cooked by Ada$/gm)
  expect(served.toSorted()).toEqual(DISHES.map((dish, at) => [`${at + 1}`, dish]))
  expect(said(/^waiter +(Ben is dead!)$/gm)).toHaveLength(1)
  const [[begun]] = said(/^Ben +begins (\w+)$/gm) as [[string]]
  expect(said(/^Ada +begins (\w+), again: The connection of the consumer was lost$/gm)).toEqual([[begun]])
  expect(restaurant.stdout).toMatch(/^waiter +6 dishes, 0 of them twice; 0 orders left$/m)
})
