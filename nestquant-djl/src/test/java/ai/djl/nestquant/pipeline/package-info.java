/** Tests of what one does with a model. */
package ai.djl.nestquant.pipeline;
