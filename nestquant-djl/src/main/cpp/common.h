#pragma once

#include <cstdint>

/**
 * What the sources tell each other.
 *
 * Every source but those named ONCE in build.sh is compiled once per level of instruction set, with
 * NQ_LEVEL set to the level's name, and puts all it defines into the namespace nq::NQ_LEVEL. The
 * linker keeps one copy of an inline function or template whatever flags it was compiled with, so
 * those sources must define none elsewhere and use none of the C++ library's; build.sh checks it.
 */
namespace nq {

class Pool;
struct Layer;
struct Pass;
struct Head;
struct Embedding;
struct LatticeCode;
struct EncodedRow;

/** Never a function of its own, so that no level takes another's. */
#define NQ_MEMBER __attribute__((always_inline)) inline

/** What the words of a matrix mean; the ordinals of codec.PackedCode, and int8. */
enum Code { E8_16, D8_16, E8_8, D8_8, INT8 };

/**
 * Units of work in parts for threads that may be interrupted: a part is a thread's share of half of
 * what is left, so that the first parts are few and large, and the last ones end together.
 */
struct Shares {
    int units;
    int threads;

    NQ_MEMBER int size(int from) const {
        int share = threads == 1 ? units : (units - from) / (2 * threads);
        return share > 1 ? share : 1;
    }

    /** How many parts there are. */
    NQ_MEMBER int count() const {
        int parts = 0;
        for (int from = 0; from < units; from += size(from)) {
            parts++;
        }
        return parts;
    }

    /** The first unit of a part. */
    NQ_MEMBER int start(int part) const {
        int from = 0;
        for (int i = 0; i < part; i++) {
            from += size(from);
        }
        return from < units ? from : units;
    }
};

/** Bytes of a tile's block in the stream of index bits: three bits for each row. */
constexpr int INDEX_BYTES = 6;

/** A coded matrix, codec.PackedMatrix or codec.Int8Matrix, in tiles of 16 rows; not owned. */
struct Matrix {
    Code code;
    int rows;
    int columns;

    /** Words, [tiles][ints per row][16]. */
    const std::int32_t* words;

    /** Index bits, [tiles][blocks][INDEX_BYTES] and 2 more; null for int8. */
    const std::uint8_t* betas;

    /** The floats that rows' integers are multiplied by, [rows], of an int8 matrix. */
    const float* rowScales;

    /** Of other matrices, scale(row) = tensorScale · powers[exponents[row]]; powers [256]. */
    const std::uint8_t* exponents;
    const float* powers;
    float tensorScale;

    NQ_MEMBER float rowScale(int row) const {
        return code == INT8 ? rowScales[row] : tensorScale * powers[exponents[row]];
    }
    NQ_MEMBER int tiles() const { return (rows + 15) / 16; }
    NQ_MEMBER int blocks() const { return columns / 8; }
    NQ_MEMBER int intsPerRow() const {
        return code == INT8 ? columns / 4 : code <= D8_16 ? blocks() : (blocks() + 3) / 4 * 3;
    }
};

/** Tiles of a matrix as containers and caches store them, codec.StoredCodes; not owned. */
struct StoredTiles {
    Code code;
    int columns;

    /** Words, placed as in a Matrix, and index bits, two for each row [tiles][blocks]. */
    const std::int32_t* words;
    const std::int32_t* betas;
};

/** Rows of integers with a scale each, codec.Int8Rows; not owned. */
struct Rows {
    int rows;
    int columns;

    /** Integers, or their upper bytes, [rows][columns]. */
    const std::int8_t* high;

    /** Lower bytes, or null. */
    const std::int8_t* low;
    const float* scales;
};

/** The functions of one level. All levels give the same results, bit for bit. */
struct Level {
    const char* name;

    /** Tiles from..to of y = W·x, y [x.rows][w.rows]; scratch from scratchBytes. */
    void (*multiply)(const Matrix& w, const Rows& x, int from, int to, float* y, void* scratch);

    /** Bytes of scratch that multiply needs, 64-byte aligned. */
    std::int64_t (*scratchBytes)(const Matrix& w, const Rows& x);

    /** Rows from..to as floats, [to - from][columns]; the tiles must lie within scratch. */
    void (*decodeRows)(const Matrix& w, int from, int to, float* panel, void* scratch);

    /** Reads a tile to the same place among words and index bits of a matrix. */
    void (*readStored)(const StoredTiles& s, int tile, std::int32_t* words, std::uint8_t* betas);

    /**
     * Encodes a row of `columns` entries at the best of the scales whose exponents are within
     * `window` of the Gaussian one; floats of scratch from encodeScratch. Returns false if an entry
     * is no number or beyond 1e15.
     */
    bool (*encodeRow)(
        const LatticeCode& code,
        float tensorScale,
        int window,
        const float* x,
        int columns,
        float* scratch,
        EncodedRow& row);

    /**
     * Encodes a vector that stands alone as integers [columns] with a scale, as
     * codec.RowEncoder.encodeIntegers does, with the help of a pool's threads unless they are at
     * work already; scratch from encodeBytes. Returns false as encodeRow does.
     */
    bool (*encodeVector)(
        Pool& pool,
        const LatticeCode& code,
        const float* x,
        int columns,
        void* scratch,
        std::int8_t* integers,
        float* scale);

    /**
     * Multiplies rows of 2^exponent entries, x [rows][2^exponent], by signs and by the Sylvester
     * matrix, each as rotation.Rotation does. Returns the largest squared norm of 8 neighbours
     * afterwards, NaN or infinite if an entry is.
     */
    float (*rotateRows)(int exponent, const float* signs, float* x, int rows);

    /** Runs tokens through a decoder layer; false if an entry that is to be coded is no number. */
    bool (*runLayer)(Pool& pool, const Layer& layer, const Pass& pass);

    /** Logits [vocabulary] of a hidden state [hidden]; false if that is no number. */
    bool (*runHead)(Pool& pool, const Head& head, const float* h, float* logits);

    /** Rows of a vocabulary, rotated back, out [count][length of a row]. */
    void (*embed)(Pool& pool, const Embedding& embedding, const std::int64_t* ids, int count, float* out);
};

namespace avx512 {
/** AVX-512 F, BW, DQ, VL, VNNI and VBMI, and GFNI: Ice Lake, Zen 4 and later. */
extern const Level level;
}  // namespace avx512

namespace avx2 {
/** AVX2, FMA, F16C, BMI2: Haswell, Zen and later. */
extern const Level level;
}  // namespace avx2

namespace baseline {
/** What every processor of the architecture has: SSE2, or NEON on aarch64. */
extern const Level level;
}  // namespace baseline

/**
 * Returns a level by its name, nullptr or "" for the best that this processor has.
 *
 * Returns nullptr if there is no such level, this build lacks it or this processor does.
 */
const Level* findLevel(const char* name);

}  // namespace nq
