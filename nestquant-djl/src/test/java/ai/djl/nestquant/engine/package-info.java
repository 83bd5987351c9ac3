/** Tests of text generation: parameters, sampling and streaming. */
package ai.djl.nestquant.engine;
