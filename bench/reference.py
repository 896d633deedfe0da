"""What the worker is measured against: the straightforward program, with the whole file in lists.

usage: reference.py input.csv output.csv
"""

import csv
import random
import sys


def rows_of(path):
    with open(path, "r") as file:
        return [row for row in csv.reader(file)]


def processed(rows):
    result = [["ID", "Value", "ProcessedValue"]]
    for row in rows[1:]:
        id, value = row
        result.append([id, value, float(value) * random.uniform(0.8, 1.2)])
    return result


def write(path, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)


def main():
    rows = rows_of(sys.argv[1])
    write(sys.argv[2], processed(rows))


if __name__ == "__main__":
    main()
