export class Counter {
  constructor(name) {
    this.name = name;
  }

  add(value) {
    if (!Number.isFinite(value)) throw new Error(`${this.name}: ${value}`);
  }
}

export class Trend extends Counter {}
