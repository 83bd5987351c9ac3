#pragma once

#include "common.h"
#include "pool.h"

/** One decoder layer, from hidden state to hidden state, in one call; embedding and output head. */
namespace nq {

/** R of rotation.Rotation: signs, Walsh-Hadamard of groups of 2^exponent, then a dense factor. */
struct Rotation {
    int length;
    int padded;
    int exponent;

    /** padded / 2^exponent; 1 for the identity, whose exponent is 0. */
    int order;

    /** [padded], their size is that of the rotation's scaling. */
    const float* signs;

    /** [order][order], null where the order is 1. */
    const float* factor;
};

#ifdef NQ_LEVEL
namespace NQ_LEVEL {
/** Rotates rows, see Level. */
float rotateRows(int exponent, const float* signs, float* x, int rows);
}  // namespace NQ_LEVEL
#endif

/** y = Wx + b. */
struct Linear {
    Matrix w;

    /** [rows] or null. */
    const float* bias;
};

/** The layer's parts; arrays are not owned. */
struct Layer {
    int hidden;
    int heads;
    int kvHeads;
    int headSize;
    int inner;

    /** How many tokens a token sees, itself included; 0 for all before it. */
    int window;

    /** Of the inputs of products: 4, 8 or 16. */
    int activationBits;

    /** Whether keys and values are on codes. */
    bool codedCache;
    float epsilon;

    const float* attentionNorm;
    const float* feedForwardNorm;

    /** Of head vectors, or null. */
    const float* queryNorm;
    const float* keyNorm;

    Linear query, key, value, output, gate, up, down;
    Rotation hiddenRotation, mixedRotation, innerRotation;

    /** Of queries and keys if the cache is coded. */
    Rotation headRotation;
};

/** A pass of one sequence through a layer. */
struct Pass {
    /** [tokens][hidden], replaced by the layer's output. */
    float* h;
    int tokens;

    /** Tokens in the cache before. */
    int past;

    /** Of the new tokens' positions, [tokens][headSize]. */
    const float* cos;
    const float* sin;

    /**
     * Addresses of the cache: of keys and values, float [kvHeads][capacity][headSize]; or, if coded,
     * of words, betas and row scales of keys, then of values, for each segment.
     */
    const std::int64_t* slots;

    /** Tokens that the float arrays hold, or those of a segment. */
    int capacity;

    /** Set where an entry that is to be coded is no number. */
    int* failed;
};

/** What makes logits of a hidden state; arrays are not owned. */
struct Head {
    int hidden;

    /** Of the product's input: 4, 8 or 16. */
    int activationBits;
    float epsilon;

    /** The final norm's, [hidden]. */
    const float* norm;
    Rotation rotation;
    Linear product;
};

/** Rows of a vocabulary, rotated; arrays are not owned. */
struct Embedding {
    Matrix w;
    Rotation rotation;
};

/** The scale with exponent 0 of coded head vectors, model.NestQuantKvCache. */
constexpr float CACHE_TENSOR_SCALE = 16;

/** 2^(-e/12), e = 0..255, as codec.PackedMatrix computes them. */
extern float rowScalePowers[256];

/** Scratch of the calling thread, at least so many bytes, 64-byte aligned; reused, never shrunk. */
void* threadScratch(std::int64_t bytes);

/** Scratch of the calling thread apart from that of parts, 64-byte aligned; reused. */
void* callScratch(std::int64_t bytes);

#ifdef NQ_LEVEL
namespace NQ_LEVEL {
bool runLayer(Pool& pool, const Layer& layer, const Pass& pass);
bool runHead(Pool& pool, const Head& head, const float* h, float* logits);
void embed(Pool& pool, const Embedding& embedding, const std::int64_t* ids, int count, float* out);
}  // namespace NQ_LEVEL
#endif

}  // namespace nq
