#pragma once

#include <cstdint>

/** Encoding of rows in Voronoi codes of E8; the twin of RowEncoder.java, bit for bit. */
namespace nq {

class Pool;
struct Context;

/** The largest number of steps of a ladder. */
constexpr int MAX_STEPS = 8;

/** The exponents of row scales are 0 to 255: `scale = tensorScale · 2^(-e/12)`. */
constexpr int LARGEST_EXPONENT = 255;

/** A Voronoi code with its ladder. */
struct LatticeCode {
    /** q, a power of two from 4 to 64. */
    int ratio;

    /** Whether the coarse lattice is q·D8*; q·E8 otherwise. */
    bool dual;

    /** k, the number of steps, 1 to MAX_STEPS. */
    int size;

    /** m_0 < m_1 < …, positive; codes keep |m·y| within 127. */
    int steps[MAX_STEPS];

    /** The row scale that suits entries of standard deviation 1. */
    double unit;
};

/** A row on its code: an entry is `scale · m · y`. */
struct EncodedRow {
    /** Receives the leaders y, doubled integers [columns]. */
    std::int8_t* points;

    /** Receives the indices of the steps m [columns / 8]. */
    std::uint8_t* indices;

    /** e, `scale = tensorScale · 2^(-e/12)`. */
    int exponent;
    float scale;

    /** Squared error and squared norm of the row. */
    double error;
    double norm;

    /** Blocks that no step held, and that were shortened. */
    int overloads;
};

#ifdef NQ_LEVEL
namespace NQ_LEVEL {
/** Encodes a row, see Level. */
bool encodeRow(
    const LatticeCode& code,
    float tensorScale,
    int window,
    const float* x,
    int columns,
    float* scratch,
    EncodedRow& row);

/** Encodes a vector that stands alone, see Level. */
bool encodeVector(
    Pool& pool,
    const LatticeCode& code,
    const float* x,
    int columns,
    void* scratch,
    std::int8_t* integers,
    float* scale);
}  // namespace NQ_LEVEL
#endif

/** Returns how many floats encodeRow needs as scratch: what Row in encode.cpp keeps. */
std::int64_t encodeScratch(int columns);

/** Returns the bytes of an encoded row and encodeRow's scratch. */
std::int64_t encodeBytes(int columns);

/** Lays out an encoded row in `memory` of so many bytes; returns the scratch beside it. */
float* encodedRow(void* memory, int columns, EncodedRow& row);

/**
 * Returns the scale with exponent 0 for a vector of a squared norm that stands alone, 1024 times the
 * one that suits its root mean square; 0 if that is below 1e-12, where the vector counts as zero.
 */
float tensorScaleOf(const LatticeCode& code, double norm, int columns);

/** Returns what the ordinal of codec.PackedCode stands for. */
const LatticeCode& latticeCode(int ordinal);

/** Replaces the points of a row by the integers m·y. */
void decodeIntegers(const LatticeCode& code, int columns, EncodedRow& row);

/** Where rows of a codec.PackedMatrix are written to. */
struct PackedRows {
    /** Ordinal of codec.PackedCode. */
    int code;
    int columns;

    /** Words [tiles][ints per row][16], index bits [tiles][blocks][6], exponents [rows]. */
    std::int32_t* words;
    std::uint8_t* betas;
    std::uint8_t* exponents;
};

/** Writes a row, leaving the others of its tile as they are; the twin of PackedMatrix.put. */
void packRow(const PackedRows& to, int at, const EncodedRow& row);

/**
 * The same for 16·E8 in the stored form, the twin of StoredCodes.writeRow: index bits, two for each
 * row, int32 [tiles][blocks].
 */
void storeRow(const PackedRows& to, int at, const EncodedRow& row);

/**
 * Encodes vectors that stand alone, x [rows][columns], as integers [rows][columns] with a scale
 * each, shared among the threads of a context. Returns the first row with an entry that cannot be
 * encoded, or -1.
 */
int encodeIntegers(
    Context& context,
    int code,
    const float* x,
    int rows,
    int columns,
    std::int8_t* integers,
    float* scales);

}  // namespace nq
