/** Tests of the checkpoint reader. */
package ai.djl.nestquant.checkpoint;
